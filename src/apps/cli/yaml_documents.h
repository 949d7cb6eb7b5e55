#pragma once
#include <string>
#include <string_view>
#include <vector>

namespace trainyard::apps {

/// One document of a YAML file that holds several.
struct YamlPart {
  std::size_t line = 1;  ///< Where it begins in the file.
  std::string text;      ///< With as many empty lines before it as it takes that a reader counts the lines of the file.
};

/// Splits at lines that begin with `---`; `...` ends a document. Parts without content (empty, or only comments) are left out.
std::vector<YamlPart> split_yaml_documents(std::string_view text);

}  // namespace trainyard::apps
