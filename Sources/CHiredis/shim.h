// hiredis 0.14 (BSD): the reader of Redis' replies only. Its connections are not used (docs/decisions/0023).
#pragma once
#include <hiredis/hiredis.h>
