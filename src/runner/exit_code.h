#pragma once
#include "base/error.h"

namespace trainyard::runner {

/// How a job process says what became of it; the server's retry rules read nothing else of the exit.
enum class ExitCode : int {
  kDone = 0,
  kBadConfiguration = 64,  ///< A user error: not retried.
  kBadData = 65,           ///< A user error: not retried.
  kInternal = 70,
  kStoppedOnRequest = 75,  ///< The checkpoint is durable: requeue, no retry charged.
};

/// The exit code for a program that ends because of `error`: INVALID_ARGUMENT, FAILED_PRECONDITION, OUT_OF_RANGE and UNIMPLEMENTED are
/// bad configuration, DATA_LOSS is bad data, everything else is internal.
ExitCode exit_code_of(const Error& error);

}  // namespace trainyard::runner
