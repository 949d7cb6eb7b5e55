#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <optional>
#include <unordered_set>

#include "base/document.h"

namespace trainyard {
namespace {

/// What to do about a text that the parser refused for `reason`; empty: nothing more is known.
std::string_view advice_about(std::string_view reason) {
  struct Advice {
    std::string_view reason;
    std::string_view text;
  };
  static constexpr Advice kAdvice[] = {
      {"ill-formed UTF-8", "; save the text as UTF-8"},
      {"surrogate", "; write the character itself, or both of its surrogates"},
      {"control character", "; write it as an escape, like \\n"},
      {"unexpected '}'", "; remove the comma before it"},
      {"unexpected ']'", "; remove the comma before it"},
      {"unexpected end of input", "; close the brackets, braces and quotes that are open"},
      {"expected end of input", "; there is one value, remove what follows it"},
      {"missing closing quote", "; close the quote"},
      {"invalid literal", "; texts and keys have double quotes, and there are no comments"},
  };
  for (const Advice& advice : kAdvice) {
    if (reason.find(advice.reason) != std::string_view::npos) return advice.text;
  }
  return "";
}

/// Builds Documents from the parser's events, so that depth, size and duplicate keys are judged as they appear.
class DocumentBuilder {
 public:
  explicit DocumentBuilder(const ParseLimits& limits) : limits_(limits) {}

  bool null() { return add(Document()); }
  bool boolean(bool value) { return add(Document(value)); }
  bool number_integer(std::int64_t value) { return add(Document(value)); }
  bool number_unsigned(std::uint64_t value) { return add(Document(value)); }
  bool number_float(double value, const std::string&) { return add(Document(value)); }
  bool string(std::string& value) { return add(Document(std::move(value))); }
  bool binary(std::vector<std::uint8_t>&) { return false; }
  bool start_object(std::size_t) { return open(Document::object()); }
  bool start_array(std::size_t) { return open(Document::array()); }
  bool end_object() { return close(); }
  bool end_array() { return close(); }

  bool key(std::string& name) {
    Frame& frame = open_.back();
    if (!frame.keys.insert(name).second) {
      return fail("document.duplicate_key", fmt::format("the key \"{}\" stands twice in one object; remove one of them", name),
                  pointer_to(name));
    }
    frame.key = std::move(name);
    return true;
  }

  bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception& cause) {
    position_ = position;
    // "[json.exception.parse_error.101] parse error at line 1, column 7: syntax error ...": the name and the place are said elsewhere.
    std::string_view reason = cause.what();
    if (reason.starts_with('[')) reason.remove_prefix(std::min(reason.find("] "), reason.size() - 2) + 2);
    if (reason.starts_with("parse error")) reason.remove_prefix(std::min(reason.find(": "), reason.size() - 2) + 2);
    return fail("json.malformed", fmt::format("{}{}", reason, advice_about(reason)), {});
  }

  Document take() { return std::move(root_); }
  const std::optional<Error>& error() const { return error_; }
  std::size_t error_position() const { return position_; }

 private:
  struct Frame {
    Document document;
    std::string key;
    std::unordered_set<std::string> keys;
  };

  static std::string escaped(std::string_view key) {
    std::string text;
    for (const char c : key) text += c == '~' ? "~0" : c == '/' ? "~1" : std::string(1, c);
    return text;
  }

  std::string pointer_to(std::string_view last) const { return open_.back().document.where() + "/" + escaped(last); }

  std::string next_where() const {
    if (open_.empty()) return {};
    const Frame& frame = open_.back();
    return frame.document.is_array() ? pointer_to(std::to_string(frame.document.items().size())) : pointer_to(frame.key);
  }

  bool fail(std::string id, std::string message, std::string where) {
    if (!error_) error_ = invalid_argument(std::move(id), std::move(message), std::move(where));
    return false;
  }

  bool count() {
    if (++nodes_ <= limits_.nodes_max) return true;
    return fail("document.too_large", fmt::format("the document has more than {} values; make it smaller", limits_.nodes_max),
                next_where());
  }

  bool add(Document value) {
    if (!count()) return false;
    value.set_where(next_where());
    return attach(std::move(value));
  }

  bool attach(Document value) {
    if (open_.empty()) {
      root_ = std::move(value);
    } else if (open_.back().document.is_array()) {
      open_.back().document.push(std::move(value));
    } else {
      open_.back().document.append_member(open_.back().key, std::move(value));
    }
    return true;
  }

  bool open(Document container) {
    if (!count()) return false;
    if (open_.size() >= limits_.depth_max) {
      return fail("document.too_deep", fmt::format("the document is nested deeper than {} levels; make it flatter", limits_.depth_max),
                  next_where());
    }
    container.set_where(next_where());
    open_.push_back({std::move(container), {}, {}});
    return true;
  }

  bool close() {
    Document done = std::move(open_.back().document);
    open_.pop_back();
    return attach(std::move(done));
  }

  ParseLimits limits_;
  std::vector<Frame> open_;
  Document root_;
  std::size_t nodes_ = 0;
  std::size_t position_ = 0;
  std::optional<Error> error_;
};

Error with_line_and_column(Error error, std::string_view text, std::size_t position) {
  const std::string_view before = text.substr(0, std::min(position > 0 ? position - 1 : 0, text.size()));
  const auto line = std::count(before.begin(), before.end(), '\n') + 1;
  const std::size_t newline = before.rfind('\n');
  const std::size_t column = newline == std::string_view::npos ? before.size() + 1 : before.size() - newline;
  error.where = fmt::format("line {}, column {}", line, column);
  return error;
}

}  // namespace

Result<Document> parse_json(std::string_view text, const ParseLimits& limits) {
  DocumentBuilder builder(limits);
  if (nlohmann::json::sax_parse(text, &builder)) return builder.take();
  if (!builder.error()) return invalid_argument("json.malformed", "the text is no JSON");
  if (builder.error()->id == "json.malformed") return with_line_and_column(*builder.error(), text, builder.error_position());
  return *builder.error();
}

}  // namespace trainyard
