/* What each width of vectors is compiled to. */

#include <stdint.h>

#define HIDDEN __attribute__((visibility("hidden")))

typedef struct {
    long (*room)(const int64_t *);
    double (*run)(const int64_t *, void *const *);
    double (*learn)(int64_t *, void **, const double *, long, long, float *const *, long, double);
} step_kind;

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__clang__)
#define STEP_KINDS
extern const step_kind step_v4 HIDDEN, step_v3 HIDDEN;
#endif
extern const step_kind step_any HIDDEN;
