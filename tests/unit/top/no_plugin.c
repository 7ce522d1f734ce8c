/* SPDX-License-Identifier: BSD-2-Clause */
/* A shared object that is no plugin; with -DFUNCTION one whose symbol is a function. */
#ifdef FUNCTION
int stackd_plugin(void);
int stackd_plugin(void)
{
	return 1;
}
#else
extern const int something_else;
const int something_else = 1;
#endif
