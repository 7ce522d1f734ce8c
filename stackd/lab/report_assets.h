/* SPDX-License-Identifier: BSD-2-Clause */
/* report_assets.h - the files of scripts/report as strings: made by embed.py when stackd-lab is built. */
#ifndef STACKD_LAB_REPORT_ASSETS_H
#define STACKD_LAB_REPORT_ASSETS_H

extern const char report_report_css[], report_report_js[];
extern const char report_uPlot_min_css[], report_uPlot_iife_min_js[], report_uPlot_LICENSE[];

#endif
