// sherpa-onnx C API (Silero VAD, local STT and TTS), from the sherpa-onnx-core wheel.
#pragma once
#include <sherpa-onnx/c-api/c-api.h>
