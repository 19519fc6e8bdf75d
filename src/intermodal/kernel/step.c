/* One step of training a fusion: forward, backward and the new weights, without a Python line or a small tensor between.

   What it computes is `learn/model.py` on vectors, in float: encoders, layers of tied attention along the edges, mean of
   the tokens, head, loss. Tokens that are absent (missing, or hidden by modality dropout) take no room: all rows below
   are tokens that are there. The module takes addresses and sizes and checks nothing: `step.py` and its caller do.

   B samples, S tokens, M modalities, K members, N = K * B, R rows, d width, H heads, h width inside, O outputs. */

#define Py_LIMITED_API 0x030B0000
#include <Python.h>
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#define INLINE static inline __attribute__((always_inline))
#if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__) && !defined(__clang__)
#define CLONES __attribute__((target_clones("arch=x86-64-v4", "arch=x86-64-v3", "default"))) static
#define WIDE __builtin_cpu_supports("avx512f")
#else
#define CLONES static
#define WIDE 0
#endif
#define UNROLL _Pragma("GCC unroll 8")
#define LANES 16
#define MOST 64         /* tokens, modalities */
#define MOST_WIDTH 4096 /* features of a row that goes through dropout */

typedef float V __attribute__((vector_size(64)));
typedef int32_t I __attribute__((vector_size(64)));
typedef uint64_t W __attribute__((vector_size(64)));
typedef unsigned char B16 __attribute__((vector_size(16)));

#include "step_lanes.inc"
#include "step_product.inc"
#include "step_model.inc"
#include "step_attention.inc"
#include "step_pass.inc"
#include "step_update.inc"

static void *address(PyObject *o) { return PyLong_AsVoidPtr(o); }

/* room(sizes) -> bytes of the workspace */
static PyObject *py_room(PyObject *self, PyObject *const *args, Py_ssize_t n) {
    (void)self;
    if (n != 1) return PyErr_Format(PyExc_TypeError, "sizes");
    const int64_t *sizes = address(args[0]);
    if (PyErr_Occurred()) return NULL;
    work w;
    return PyLong_FromLong(lay_out(&w, sizes, NULL));
}

/* run(sizes, addresses) -> the weighted sum of the losses */
static PyObject *py_run(PyObject *self, PyObject *const *args, Py_ssize_t n) {
    (void)self;
    if (n != 2) return PyErr_Format(PyExc_TypeError, "sizes and addresses");
    const int64_t *sizes = address(args[0]);
    void *const *addresses = address(args[1]);
    if (PyErr_Occurred()) return NULL;
    double total;
    Py_BEGIN_ALLOW_THREADS
    total = pass(sizes, addresses);
    Py_END_ALLOW_THREADS
    return PyFloat_FromDouble(total);
}

/* learn(sizes, addresses, schedule, steps, number of the first, moments, mean, how many decay, by how much) -> as run, of all */
static PyObject *py_learn(PyObject *self, PyObject *const *args, Py_ssize_t n) {
    (void)self;
    if (n != 10) return PyErr_Format(PyExc_TypeError, "three addresses, two numbers, three addresses and two numbers");
    int64_t *sizes = address(args[0]);
    void **addresses = address(args[1]);
    const double *schedule = address(args[2]);
    long steps = PyLong_AsLong(args[3]), first = PyLong_AsLong(args[4]), decay = PyLong_AsLong(args[8]);
    float *at[3] = {address(args[5]), address(args[6]), address(args[7])};
    double weight_decay = PyFloat_AsDouble(args[9]), total;
    if (PyErr_Occurred()) return NULL;
    Py_BEGIN_ALLOW_THREADS
    total = learn(sizes, addresses, schedule, steps, first, at, decay, weight_decay);
    Py_END_ALLOW_THREADS
    return PyFloat_FromDouble(total);
}

#define METHOD(name) {#name, (PyCFunction)(void (*)(void))py_##name, METH_FASTCALL, NULL}
static PyMethodDef methods[] = {METHOD(room), METHOD(run), METHOD(learn), {0}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_step", NULL, 0, methods, NULL, NULL, NULL, NULL};
PyMODINIT_FUNC PyInit__step(void) {
    wide = WIDE != 0;
    return PyModuleDef_Init(&module);
}
