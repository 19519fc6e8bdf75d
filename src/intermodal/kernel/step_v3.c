/* For AVX2: 16 registers of 8 numbers. */

#include "step.h"
#ifdef STEP_KINDS
#include "step_before.inc"
#pragma GCC target("arch=x86-64-v3")
#define LANES 8
#define COLUMNS 2
#define KIND step_v3
#include "step_whole.inc"
#endif
