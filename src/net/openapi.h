#pragma once
#include <string>

#include "base/document.h"
#include "net/router.h"

namespace trainyard::net {

struct ApiInfo {
  std::string title;
  std::string version;  ///< Of the API, not of the program.
  std::string description;
};

/// The OpenAPI 3.1 document of every route that describes itself and is not foreign: paths and methods sorted, each schema defined once,
/// refusals as problem details where they can happen. `x-permission` is the role that an operation takes, `x-namespaced` says that a grant
/// in one namespace admits, `x-body-max` how many bytes a body may have. Equal routes give an equal document.
Document openapi_document(const Router& router, const ApiInfo& info);

}  // namespace trainyard::net
