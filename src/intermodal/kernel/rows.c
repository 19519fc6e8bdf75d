/* Attention over many tokens on a processor, and its mean weights alone: scores, exponentials and sums in one pass.

   Scores of a few rows at a time stay in the cache and nothing of size (Q, K) is ever there. The module takes addresses
   and sizes and checks nothing: `rows.py` and `many.py` do. It holds its functions once for each width of vectors, 64
   and 32 bytes; `widest` says which of them this processor has, and 0 where it has neither: there torch's serve. */

#define Py_LIMITED_API 0x030B0000
#include <Python.h>
#include <math.h>
#include <pthread.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#if defined(__x86_64__) && defined(__linux__) && defined(__GNUC__) && !defined(__clang__)
#define SERVES 1
#else
#define SERVES 0
#endif

#define MOST_THREADS 64
#define LOG2E 1.44269504088896340736
#define BLOCK 256 /* keys whose values are summed up before they join the others */
#define TALL 6 /* rows of a tile of scores, held in registers */

typedef struct {
    long sample, token, head; /* from one to the next */
} steps;

/* What the module is told, in this order: sizes, steps in memory, the width of a vector in bytes, threads. */
typedef struct {
    long B, H, Q, K, D, E, keep, share;
    steps q, k, v, g;
    long width, threads;
} shape;

/* And where the tensors are; 0 where one is not. What is written lies with the heads of a token side by side, but for
   `weights` (B, H, K) and `dshare` (B, H, Q). */
typedef struct {
    const void *q, *k, *v, *keep, *share, *g;
    void *out, *weights, *dq, *dk, *dv, *dshare;
} places;

#define SIZES ((int)(sizeof(shape) / sizeof(long)))
#define ADDRESSES ((int)(sizeof(places) / sizeof(void *)))

typedef struct {
    const shape *a;
    const places *at;
    double scale;
    long next; /* the first (sample, head) pair that nobody has taken */
    int failed;
} job;
typedef void (*work)(job *);

static inline long take(job *j) {
    long pair = __atomic_fetch_add(&j->next, 1, __ATOMIC_RELAXED);
    return pair < j->a->B * j->a->H ? pair : -1;
}

#if SERVES
#define INLINE static inline __attribute__((always_inline))

/* Room that begins where a vector may. */
static void *vectors(size_t bytes) {
    void *p = NULL;
    return posix_memalign(&p, 64, bytes) ? NULL : p;
}

#define REAL float
#define INTEGER int32_t
#define SHIFT 12582912.0f /* 1.5 * 2^23: adding it rounds to whole numbers */
#define BIAS 127
#define MANTISSA 23
#define SMALLEST -126.0f
#define LARGER "vmaxps"
/* (2^r - 1) / r for |r| <= 1/2, by Remez' exchange: 2^r to 2.6e-9 */
#define POWERS {0.6931472149680279f, 0.24022652782887738f, 0.05550310551013797f, 0.009617692972993062f, \
                0.001340664390235176f, 0.00015594678161326620f}

#define NAME(x) x##_float_512
#define BYTES 64
#define TARGET __attribute__((target("arch=x86-64-v4"))) static
#define HALVES ((I){0, 16, 1, 17, 2, 18, 3, 19, 4, 20, 5, 21, 6, 22, 7, 23})
#define LANE ((I){0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15})
#define WIDE 4
#include "rows.inc"

#define NAME(x) x##_float_256
#define BYTES 32
#define TARGET __attribute__((target("arch=x86-64-v3"))) static
#define HALVES ((I){0, 8, 1, 9, 2, 10, 3, 11})
#define LANE ((I){0, 1, 2, 3, 4, 5, 6, 7})
#define WIDE 2
#include "rows.inc"

#undef REAL
#undef INTEGER
#undef SHIFT
#undef BIAS
#undef MANTISSA
#undef SMALLEST
#undef LARGER
#undef POWERS
#define REAL double
#define INTEGER int64_t
#define SHIFT 6755399441055744.0 /* 1.5 * 2^52 */
#define BIAS 1023
#define MANTISSA 52
#define SMALLEST -1022.0
#define LARGER "vmaxpd"
/* the same to 1.8e-17 */
#define POWERS {0.69314718055994569675, 0.24022650695910098007, 0.055504108664790394552, 0.0096181291076070023796, \
                0.0013333558153439964747, 0.0001540353044157213033, 0.000015252727385193868197, \
                1.3215442675329822143e-6, 1.0180647659234138888e-7, 7.0725704128144235096e-9, 4.078071929588336665e-10}

#define NAME(x) x##_double_512
#define BYTES 64
#define TARGET __attribute__((target("arch=x86-64-v4"))) static
#define HALVES ((I){0, 8, 1, 9, 2, 10, 3, 11})
#define LANE ((I){0, 1, 2, 3, 4, 5, 6, 7})
#define WIDE 4
#include "rows.inc"

#define NAME(x) x##_double_256
#define BYTES 32
#define TARGET __attribute__((target("arch=x86-64-v3"))) static
#define HALVES ((I){0, 4, 1, 5})
#define LANE ((I){0, 1, 2, 3})
#define WIDE 2
#include "rows.inc"

static long widest(void) {
    __builtin_cpu_init();
    return __builtin_cpu_supports("x86-64-v4") ? 64 : __builtin_cpu_supports("x86-64-v3") ? 32 : 0;
}
#define ALL(f) {{f##_float_256, f##_float_512}, {f##_double_256, f##_double_512}}
#else
static long widest(void) { return 0; }
#define ALL(f) {{NULL}}
#endif
static const work WEIGHTS[2][2] = ALL(weights), WEIGHTS_BACK[2][2] = ALL(weights_back);
static const work ATTEND[2][2] = ALL(attend), ATTEND_BACK[2][2] = ALL(attend_back);

typedef struct {
    work f;
    job *job;
} task;

static void *run(void *arg) {
    task *t = arg;
    t->f(t->job);
    return NULL;
}

/* Let threads take (sample, head) pairs one after another: who takes which changes nothing in its numbers. */
static int spread(work f, const shape *a, const places *at, double scale) {
    long threads = a->threads < MOST_THREADS ? a->threads : MOST_THREADS, started = 0;
    job j = {a, at, scale, 0, 0};
    task t = {f, &j};
    pthread_t ids[MOST_THREADS];
    while (started < threads - 1 && pthread_create(&ids[started], NULL, run, &t) == 0) started++;
    run(&t);
    while (started) pthread_join(ids[--started], NULL);
    return j.failed;
}

/* which(double?, scale, sizes..., addresses...) */
static PyObject *call(const work which[2][2], PyObject *const *args, Py_ssize_t n) {
    union {
        shape of;
        long at[SIZES];
    } sizes;
    union {
        places of;
        void *at[ADDRESSES];
    } addresses;
    if (n != 2 + SIZES + ADDRESSES) {
        PyErr_SetString(PyExc_TypeError, "a flag, a scale, sizes and addresses");
        return NULL;
    }
    long is_double = PyLong_AsLong(args[0]);
    double scale = PyFloat_AsDouble(args[1]);
    for (int i = 0; i < SIZES; i++) sizes.at[i] = PyLong_AsLong(args[2 + i]);
    for (int i = 0; i < ADDRESSES; i++) addresses.at[i] = PyLong_AsVoidPtr(args[2 + SIZES + i]);
    if (PyErr_Occurred()) return NULL;
    long width = sizes.of.width;
    if (width > widest() || (width != 32 && width != 64)) {
        PyErr_SetString(PyExc_ValueError, "this processor has no vectors of that width");
        return NULL;
    }
    work f = which[is_double != 0][width == 64];
    int failed;
    Py_BEGIN_ALLOW_THREADS
    failed = spread(f, &sizes.of, &addresses.of, scale);
    Py_END_ALLOW_THREADS
    if (failed) return PyErr_NoMemory();
    Py_RETURN_NONE;
}

#define EXPORT(name, which)                                                           \
    static PyObject *py_##name(PyObject *self, PyObject *const *args, Py_ssize_t n) { \
        (void)self;                                                                   \
        return call(which, args, n);                                                  \
    }
EXPORT(weights, WEIGHTS)
EXPORT(weights_back, WEIGHTS_BACK)
EXPORT(attend, ATTEND)
EXPORT(attend_back, ATTEND_BACK)

static PyObject *py_widest(PyObject *self, PyObject *none) {
    (void)self, (void)none;
    return PyLong_FromLong(widest());
}

#define METHOD(name) {#name, (PyCFunction)(void (*)(void))py_##name, METH_FASTCALL, NULL}
static PyMethodDef methods[] = {METHOD(weights), METHOD(weights_back), METHOD(attend), METHOD(attend_back),
                                {"widest", py_widest, METH_NOARGS, NULL}, {0}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_rows", NULL, 0, methods, NULL, NULL, NULL, NULL};
PyMODINIT_FUNC PyInit__rows(void) { return PyModuleDef_Init(&module); }
