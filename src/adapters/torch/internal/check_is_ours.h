#pragma once
// To be included after the headers of libtorch and before ours: c10 defines a CHECK macro of its own, with other arguments.
#undef CHECK
