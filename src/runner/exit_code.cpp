#include "runner/exit_code.h"

namespace trainyard::runner {

ExitCode exit_code_of(const Error& error) {
  switch (error.category) {
    case Category::kInvalidArgument:
    case Category::kFailedPrecondition:
    case Category::kOutOfRange:
    case Category::kUnimplemented:
      return ExitCode::kBadConfiguration;
    case Category::kDataLoss:
      return ExitCode::kBadData;
    case Category::kCancelled:
    case Category::kUnknown:
    case Category::kDeadlineExceeded:
    case Category::kNotFound:
    case Category::kAlreadyExists:
    case Category::kPermissionDenied:
    case Category::kResourceExhausted:
    case Category::kAborted:
    case Category::kInternal:
    case Category::kUnavailable:
    case Category::kUnauthenticated:
      return ExitCode::kInternal;
  }
  return ExitCode::kInternal;
}

}  // namespace trainyard::runner
