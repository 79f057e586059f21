// The fuzzing runtime itself comes with the compiler; this target only declares it.
#include "CFuzzer.h"
