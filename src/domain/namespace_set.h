#pragma once
#include <algorithm>
#include <string>
#include <string_view>
#include <vector>

namespace trainyard {

/// Where things are that name no namespace.
inline constexpr std::string_view kDefaultNamespace = "default";

/// The namespaces in which somebody holds a right; none by default.
struct NamespaceSet {
  bool all = false;                ///< Every namespace; `names` says nothing then.
  std::vector<std::string> names;  ///< Sorted, each once.

  bool contains(std::string_view name) const { return all || std::find(names.begin(), names.end(), name) != names.end(); }
};

}  // namespace trainyard
