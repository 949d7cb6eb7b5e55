#include "apps/cli/json_path.h"

#include <fmt/format.h>

#include <charconv>

namespace trainyard::apps {

class JsonPath::Reader {
 public:
  explicit Reader(std::string_view text) : text_(text) {}

  Result<JsonPath> read() {
    if (text_.starts_with('{') && text_.ends_with('}')) text_ = text_.substr(1, text_.size() - 2);
    if (text_.starts_with('$')) at_ = 1;
    JsonPath path;
    while (at_ < text_.size()) {
      const char sign = text_[at_];
      if (sign != '.' && sign != '[' && at_ > 0) return fault("a `.` or `[` is expected");
      if (sign == '.' && text_ == ".") return path;
      ASSIGN_OR_RETURN(Step step, sign == '[' ? read_bracket() : read_key());
      path.steps_.push_back(std::move(step));
    }
    return path;
  }

 private:
  Error fault(std::string_view what) const {
    return invalid_argument("cli.json_path", fmt::format("the path is not understood: {} at character {} of \"{}\"", what, at_ + 1, text_));
  }

  Result<Step> read_key() {
    if (text_[at_] == '.') ++at_;
    const std::size_t end = std::min(text_.find_first_of(".[", at_), text_.size());
    const std::string_view key = text_.substr(at_, end - at_);
    if (key.empty()) return fault("a key is missing");
    if (key.find_first_of("]{}() \"'") != std::string_view::npos) return fault("a key with such a character stands in ['...']");
    at_ = end;
    if (key == "*") return Step{Step::Kind::kAll, "", 0};
    return Step{Step::Kind::kKey, std::string(key), 0};
  }

  Result<Step> read_bracket() {
    const std::size_t begin = at_ + 1;
    const char quote = begin < text_.size() ? text_[begin] : ' ';
    if (quote == '\'' || quote == '"') {
      const std::size_t end = text_.find(quote, begin + 1);
      if (end == std::string_view::npos || end + 1 >= text_.size() || text_[end + 1] != ']')
        return fault("the quotes or brackets do not close");
      at_ = end + 2;
      return Step{Step::Kind::kKey, std::string(text_.substr(begin + 1, end - begin - 1)), 0};
    }
    const std::size_t end = text_.find(']', begin);
    if (end == std::string_view::npos) return fault("the bracket does not close");
    const std::string_view inside = text_.substr(begin, end - begin);
    if (inside == "*") {
      at_ = end + 1;
      return Step{Step::Kind::kAll, "", 0};
    }
    Step step{Step::Kind::kIndex, "", 0};
    const auto [stop, error] = std::from_chars(inside.data(), inside.data() + inside.size(), step.index);
    if (inside.empty() || error != std::errc() || stop != inside.data() + inside.size()) return fault("a number, * or 'key' is expected");
    at_ = end + 1;
    return step;
  }

  std::string_view text_;
  std::size_t at_ = 0;
};

Result<JsonPath> JsonPath::parse(std::string_view text) { return Reader(text).read(); }

std::vector<const Document*> JsonPath::find_in(const Document& document) const {
  std::vector<const Document*> found{&document};
  for (const Step& step : steps_) {
    std::vector<const Document*> next;
    for (const Document* at : found) {
      if (step.kind == Step::Kind::kKey) {
        if (const Document* member = at->find(step.key)) next.push_back(member);
      } else if (step.kind == Step::Kind::kIndex) {
        const auto count = static_cast<std::int64_t>(at->items().size());
        const std::int64_t index = step.index < 0 ? count + step.index : step.index;
        if (index >= 0 && index < count) next.push_back(&at->items()[static_cast<std::size_t>(index)]);
      } else {
        for (const Document& item : at->items()) next.push_back(&item);
        for (const auto& [key, value] : at->members()) next.push_back(&value);
      }
    }
    found = std::move(next);
  }
  return found;
}

}  // namespace trainyard::apps
