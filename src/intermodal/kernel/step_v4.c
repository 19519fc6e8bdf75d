/* For AVX-512: 32 registers of 16 numbers. */

#include "step.h"
#ifdef STEP_KINDS
#include "step_before.inc"
#pragma GCC target("arch=x86-64-v4")
#define LANES 16
#define COLUMNS 4
#define KIND step_v4
#include "step_whole.inc"
#endif
