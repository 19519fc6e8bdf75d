/* What follows a shared attention in many subsets of what was asked: sums, divisions and norms of short rows, for which
   torch would need a pass each.

   The module takes addresses and sizes and checks nothing: `mixed.py` does. Without it the package asks once a subset. */

#include <math.h>

#include "module.h"

#define NAME(x) x##_float
#define REAL float
#include "mixed.inc"
#define NAME(x) x##_double
#define REAL double
#include "mixed.inc"

/* Sizes of every call: B S P H d C T G. */
EXPORT(gather)
EXPORT(mix)
EXPORT(join)
EXPORT(settle)
EXPORT(scores)
EXPORT(blend)

static PyMethodDef methods[] = {METHOD(gather), METHOD(mix),    METHOD(join), METHOD(settle),
                                METHOD(scores), METHOD(blend), {0}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_mixed", NULL, 0, methods, NULL, NULL, NULL, NULL};
PyMODINIT_FUNC PyInit__mixed(void) { return PyModuleDef_Init(&module); }
