#pragma once
#include <string>
#include <string_view>
#include <vector>

#include "base/document.h"

namespace trainyard::apps {

/// A path into a document as `kubectl` and `jq` write them: ".jobs[0].id", "$.jobs[*].spec.name", "{.jobs[-1].id}", "['a key'].*".
class JsonPath {
 public:
  /// Errors: INVALID_ARGUMENT "cli.json_path" with the place in the text.
  static Result<JsonPath> parse(std::string_view text);

  /// Everything the path leads to, in order; empty when it leads nowhere. The pointers are into `document`.
  std::vector<const Document*> find_in(const Document& document) const;

 private:
  struct Step {
    enum class Kind { kKey, kIndex, kAll };
    Kind kind = Kind::kAll;
    std::string key;
    std::int64_t index = 0;  ///< Negative ones count from the end.
  };
  class Reader;

  std::vector<Step> steps_;
};

}  // namespace trainyard::apps
