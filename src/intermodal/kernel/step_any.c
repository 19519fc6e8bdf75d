/* For any processor that has vectors of 4 numbers; those of ARM have 32 of them. */

#include "step.h"

#include "step_before.inc"
#define LANES 4
#ifdef __aarch64__
#define COLUMNS 4
#else
#define COLUMNS 2
#endif
#define KIND step_any
#include "step_whole.inc"
