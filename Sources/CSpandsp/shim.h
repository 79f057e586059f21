// libspandsp 0.0.6 (LGPL-2.1, linked dynamically): packet-loss concealment only. <spandsp.h> would bring in libtiff's headers.
#pragma once
#include <stdint.h>
#include <spandsp/telephony.h>
#include <spandsp/plc.h>
