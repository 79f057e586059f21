// libspeexdsp: the stateful band-limited resampler.
#pragma once
#include <speex/speex_resampler.h>
