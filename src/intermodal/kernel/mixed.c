/* What follows a shared attention in many subsets of what was asked: sums, divisions and norms of short rows, for which
   torch would need a pass each.

   The module takes addresses and sizes and checks nothing: `mixed.py` does. Without it the package asks once a subset. */

#define Py_LIMITED_API 0x030B0000
#include <Python.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#define INLINE static inline __attribute__((always_inline))
#if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__) && !defined(__clang__)
#define CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default"))) static
#else
#define CLONES static
#endif

#define NAME(x) x##_float
#define REAL float
#include "mixed.inc"
#define NAME(x) x##_double
#define REAL double
#include "mixed.inc"

typedef int (*work)(const long *, void *const *, double);
#define SIZES 8 /* B S P H d C T G */
#define ADDRESSES 7

/* which(double?, eps, sizes..., addresses...) */
static PyObject *call(work narrow, work wide, PyObject *const *args, Py_ssize_t n) {
    long sizes[SIZES];
    void *addresses[ADDRESSES] = {0};
    if (n < 2 + SIZES || n > 2 + SIZES + ADDRESSES) {
        PyErr_SetString(PyExc_TypeError, "a flag, a number, sizes and addresses");
        return NULL;
    }
    long is_double = PyLong_AsLong(args[0]);
    double eps = PyFloat_AsDouble(args[1]);
    for (int i = 0; i < SIZES; i++) sizes[i] = PyLong_AsLong(args[2 + i]);
    for (Py_ssize_t i = 2 + SIZES; i < n; i++) addresses[i - 2 - SIZES] = PyLong_AsVoidPtr(args[i]);
    if (PyErr_Occurred()) return NULL;
    int failed;
    Py_BEGIN_ALLOW_THREADS
    failed = (is_double ? wide : narrow)(sizes, addresses, eps);
    Py_END_ALLOW_THREADS
    if (failed) return PyErr_NoMemory();
    Py_RETURN_NONE;
}

#define EXPORT(name)                                                                       \
    static PyObject *py_##name(PyObject *self, PyObject *const *args, Py_ssize_t n) {      \
        (void)self;                                                                        \
        return call(name##_float, name##_double, args, n);                                 \
    }
EXPORT(gather)
EXPORT(mix)
EXPORT(join)
EXPORT(settle)
EXPORT(scores)
EXPORT(blend)

#define METHOD(name) {#name, (PyCFunction)(void (*)(void))py_##name, METH_FASTCALL, NULL}
static PyMethodDef methods[] = {METHOD(gather), METHOD(mix), METHOD(join), METHOD(settle), METHOD(scores), METHOD(blend), {0}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_mixed", NULL, 0, methods, NULL, NULL, NULL, NULL};
PyMODINIT_FUNC PyInit__mixed(void) { return PyModuleDef_Init(&module); }
