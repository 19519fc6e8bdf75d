/* What a module of functions over addresses needs: vectors of whatever processor is there, and a way in from Python.

   On x86-64 Linux a function is compiled once for each width of vectors, and chosen when the module is loaded. */

#define Py_LIMITED_API 0x030B0000
#include <Python.h>
#include <stdint.h>
#include <stdlib.h>

#define INLINE static inline __attribute__((always_inline))
#if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__) && !defined(__clang__)
#define CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default"))) static
#else
#define CLONES static
#endif

typedef int (*work)(const long *, void *const *, const double *);
#define MOST_GIVEN 32

/* which(double?, a tuple of numbers, one of sizes, one of addresses) */
static PyObject *call(work narrow, work wide, PyObject *const *args, Py_ssize_t n) {
    double reals[MOST_GIVEN] = {0};
    long sizes[MOST_GIVEN] = {0};
    void *addresses[MOST_GIVEN] = {0};
    int fit = n == 4;
    for (int i = 1; fit && i < 4; i++) fit = PyTuple_Size(args[i]) <= MOST_GIVEN;
    if (!fit) {
        if (!PyErr_Occurred()) PyErr_SetString(PyExc_TypeError, "a flag, numbers, sizes and addresses");
        return NULL;
    }
    long is_double = PyLong_AsLong(args[0]);
    for (Py_ssize_t i = 0; i < PyTuple_Size(args[1]); i++) reals[i] = PyFloat_AsDouble(PyTuple_GetItem(args[1], i));
    for (Py_ssize_t i = 0; i < PyTuple_Size(args[2]); i++) sizes[i] = PyLong_AsLong(PyTuple_GetItem(args[2], i));
    for (Py_ssize_t i = 0; i < PyTuple_Size(args[3]); i++) addresses[i] = PyLong_AsVoidPtr(PyTuple_GetItem(args[3], i));
    if (PyErr_Occurred()) return NULL;
    int failed;
    Py_BEGIN_ALLOW_THREADS
    failed = (is_double ? wide : narrow)(sizes, addresses, reals);
    Py_END_ALLOW_THREADS
    if (failed) return PyErr_NoMemory();
    Py_RETURN_NONE;
}

#define EXPORT(name)                                                                       \
    static PyObject *py_##name(PyObject *self, PyObject *const *args, Py_ssize_t n) {      \
        (void)self;                                                                        \
        return call(name##_float, name##_double, args, n);                                 \
    }
#define METHOD(name) {#name, (PyCFunction)(void (*)(void))py_##name, METH_FASTCALL, NULL}
