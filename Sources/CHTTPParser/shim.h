// libhttp-parser: HTTP/1.1 request and response parsing.
#pragma once
#include <http_parser.h>
