/* One step of training a fusion: forward, backward and the new weights, without a Python line or a small tensor between.

   What it computes is `learn/model.py` on vectors, in float: encoders, layers of tied attention along the edges, mean of
   the tokens, head, loss. Tokens that are absent (missing, or hidden by modality dropout) take no room: all rows are
   tokens that are there. The module takes addresses and sizes and checks nothing: `step.py` and its caller do.

   The whole is compiled once for each width of vectors, and chosen when the module is loaded: gcc makes poor code of
   vectors that are wider than the processor's, and a product wants as many of them in registers as there are. */

#define Py_LIMITED_API 0x030B0000
#include <Python.h>
#include <stdint.h>

#include "step.h"

static const step_kind *kind;

static const step_kind *chosen(void) {
#ifdef STEP_KINDS
    if (__builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512bw") &&
        __builtin_cpu_supports("avx512vl"))
        return &step_v4;
    if (__builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return &step_v3;
#endif
    return &step_any;
}

static void *address(PyObject *o) { return PyLong_AsVoidPtr(o); }

/* room(sizes) -> bytes of the workspace */
static PyObject *py_room(PyObject *self, PyObject *const *args, Py_ssize_t n) {
    (void)self;
    if (n != 1) return PyErr_Format(PyExc_TypeError, "sizes");
    const int64_t *sizes = address(args[0]);
    if (PyErr_Occurred()) return NULL;
    return PyLong_FromLong(kind->room(sizes));
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
    total = kind->run(sizes, addresses);
    Py_END_ALLOW_THREADS
    return PyFloat_FromDouble(total);
}

/* learn(sizes, addresses, schedule, steps, number of the first, moments, mean, how many decay, by how much) -> as run, of
   all steps */
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
    total = kind->learn(sizes, addresses, schedule, steps, first, at, decay, weight_decay);
    Py_END_ALLOW_THREADS
    return PyFloat_FromDouble(total);
}

/* use(i) takes the i-th, the widest first, and says whether this processor has it */
static PyObject *py_use(PyObject *self, PyObject *const *args, Py_ssize_t n) {
    (void)self;
    if (n != 1) return PyErr_Format(PyExc_TypeError, "a number");
    long i = PyLong_AsLong(args[0]);
    if (PyErr_Occurred()) return NULL;
    const step_kind *every[] = {
#ifdef STEP_KINDS
        &step_v4, &step_v3,
#endif
        &step_any};
    long many = sizeof every / sizeof *every, first = 0;
    while (every[first] != chosen()) first++;
    if (i < first || i >= many) Py_RETURN_FALSE;
    kind = every[i];
    Py_RETURN_TRUE;
}

#define METHOD(name) {#name, (PyCFunction)(void (*)(void))py_##name, METH_FASTCALL, NULL}
static PyMethodDef methods[] = {METHOD(room), METHOD(run), METHOD(learn), METHOD(use), {0}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_step", NULL, 0, methods, NULL, NULL, NULL, NULL};
PyMODINIT_FUNC PyInit__step(void) {
    kind = chosen();
    return PyModuleDef_Init(&module);
}
