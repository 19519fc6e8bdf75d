/* Attention over few tokens on a processor: what torch's kernels for long sequences do slowly.

   The module takes addresses and sizes and checks nothing: `few.py` does. Without it the package does the same,
   slower, by torch's own operations. */

#include "module.h"

static void *vectors(size_t bytes) {
    void *p = NULL;
    return posix_memalign(&p, 64, bytes) ? NULL : p;
}
#define ROOM(n) vectors((size_t)(n) * 64)

#define NAME(x) x##_float
#define REAL float
#define INTEGER int32_t
#define LANES 16
#define SHIFT 12582912.0f /* 1.5 * 2^23: adding it rounds to whole numbers */
#define LN2_HIGH 0.693359375f
#define LN2_LOW -2.12194440e-4f
#define BIAS 127
#define MANTISSA 23
#define SMALLEST -87.0f
#define LOWEST -1.7e38f
typedef float float_lanes __attribute__((vector_size(64)));
INLINE float_lanes polynomial_float(float_lanes r) { /* Cephes, expf */
    float_lanes p = 1.9875691500e-4f * r + 1.3981999507e-3f;
    p = p * r + 8.3334519073e-3f;
    p = p * r + 4.1665795894e-2f;
    p = p * r + 1.6666665459e-1f;
    p = p * r + 5.0000001201e-1f;
    return p * r * r + r + 1.0f;
}
#include "lanes.inc"
#include "few.inc"
#include "pooled.inc"
#include "forget.inc"

#define NAME(x) x##_double
#define REAL double
#define INTEGER int64_t
#define LANES 8
#define SHIFT 6755399441055744.0 /* 1.5 * 2^52 */
#define LN2_HIGH 6.93145751953125e-1
#define LN2_LOW 1.42860682030941723212e-6
#define BIAS 1023
#define MANTISSA 52
#define SMALLEST -708.0
#define LOWEST -8.9e307
typedef double double_lanes __attribute__((vector_size(64)));
INLINE double_lanes polynomial_double(double_lanes r) { /* Cephes, exp */
    double_lanes x = r * r;
    double_lanes p = r * ((1.26177193074810590878e-4 * x + 3.02994407707441961300e-2) * x + 9.99999999999999999910e-1);
    double_lanes q = ((3.00198505138664455042e-6 * x + 2.52448340349684104192e-3) * x + 2.27265548208155028766e-1) * x +
                     2.00000000000000000005e0;
    return 1.0 + 2.0 * (p / (q - p));
}
#include "lanes.inc"
#include "few.inc"
#include "pooled.inc"
#include "forget.inc"

EXPORT(attend)
EXPORT(attend_back)
EXPORT(pool)
EXPORT(pool_back)

/* 2 where 32 registers hold 64 bytes each, 1 where there are 16 of 32 bytes or 32 of 16, 0 where there is less. */
static PyObject *py_room(PyObject *self, PyObject *nothing) {
    (void)self, (void)nothing;
#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
    return PyLong_FromLong(__builtin_cpu_supports("x86-64-v4") ? 2 : __builtin_cpu_supports("x86-64-v3") ? 1 : 0);
#elif defined(__x86_64__)
    return PyLong_FromLong(0);
#else
    return PyLong_FromLong(1);
#endif
}

static PyMethodDef methods[] = {METHOD(attend), METHOD(attend_back), METHOD(pool), METHOD(pool_back),
                                {"room", py_room, METH_NOARGS, NULL}, {0}};
static struct PyModuleDef module = {PyModuleDef_HEAD_INIT, "_few", NULL, 0, methods, NULL, NULL, NULL, NULL};
PyMODINIT_FUNC PyInit__few(void) { return PyModuleDef_Init(&module); }
