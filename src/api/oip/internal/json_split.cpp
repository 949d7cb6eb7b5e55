#include "api/oip/internal/json_split.h"

#include "base/document.h"

namespace trainyard::api::oip::internal {
namespace {

constexpr std::string_view kWhitespace = " \t\r\n";

/// Walks a JSON text just closely enough to find members. Every step returns false at what it does not understand.
class Splitter {
 public:
  Splitter(std::string_view text, std::string_view list) : text_(text), list_(list) {}

  SplitJson split() {
    walk_root();
    split_.skeleton.append(text_.substr(copied_));
    return std::move(split_);
  }

 private:
  bool walk_root() {
    return walk_object([this](const std::string& key) { return key == list_ && peek('[') ? walk_list() : skip_value(); });
  }

  bool walk_list() {
    position_ += 1;
    if (take(']')) return true;
    do {
      skip_whitespace();
      if (!(peek('{') ? walk_tensor() : skip_value())) return false;
    } while (take(','));
    return take(']');
  }

  bool walk_tensor() {
    return walk_object([this](const std::string& key) { return key == "data" ? cut_value() : skip_value(); });
  }

  bool cut_value() {
    const std::size_t start = position_;
    if (!skip_value()) return false;
    split_.skeleton.append(text_.substr(copied_, start - copied_)).append(std::to_string(split_.data.size()));
    split_.data.push_back(text_.substr(start, position_ - start));
    copied_ = position_;
    return true;
  }

  template <typename Member>
  bool walk_object(const Member& member) {
    if (!take('{')) return false;
    if (take('}')) return true;
    do {
      skip_whitespace();
      const std::size_t start = position_;
      if (!skip_string()) return false;
      const std::string key = key_of(text_.substr(start, position_ - start));
      if (!take(':')) return false;
      skip_whitespace();
      if (!member(key)) return false;
    } while (take(','));
    return take('}');
  }

  static std::string key_of(std::string_view quoted) {
    if (quoted.find('\\') == std::string_view::npos) return std::string(quoted.substr(1, quoted.size() - 2));
    const Result<Document> parsed = parse_json(quoted);
    return parsed.ok() ? parsed->as_string().value_or("") : "";
  }

  bool skip_value() {
    if (peek('"')) return skip_string();
    if (!peek('[') && !peek('{')) return skip_scalar();
    std::size_t depth = 0;
    while (position_ < text_.size()) {
      const char c = text_[position_];
      if (c == '"') {
        if (!skip_string()) return false;
        continue;
      }
      ++position_;
      if (c == '[' || c == '{') ++depth;
      if ((c == ']' || c == '}') && --depth == 0) return true;
    }
    return false;
  }

  bool skip_scalar() {
    const std::size_t start = position_;
    const std::size_t end = text_.find_first_of(",]} \t\r\n", start);
    position_ = end == std::string_view::npos ? text_.size() : end;
    return position_ > start;
  }

  bool skip_string() {
    if (!peek('"')) return false;
    for (std::size_t i = position_ + 1; i < text_.size(); ++i) {
      if (text_[i] == '\\') {
        ++i;
      } else if (text_[i] == '"') {
        position_ = i + 1;
        return true;
      }
    }
    return false;
  }

  void skip_whitespace() {
    const std::size_t next = text_.find_first_not_of(kWhitespace, position_);
    position_ = next == std::string_view::npos ? text_.size() : next;
  }
  bool peek(char wanted) const { return position_ < text_.size() && text_[position_] == wanted; }
  bool take(char wanted) {
    skip_whitespace();
    if (!peek(wanted)) return false;
    ++position_;
    return true;
  }

  std::string_view text_;
  std::string_view list_;
  std::size_t position_ = 0;
  std::size_t copied_ = 0;
  SplitJson split_;
};

}  // namespace

SplitJson split_tensor_data(std::string_view text, std::string_view list) { return Splitter(text, list).split(); }

}  // namespace trainyard::api::oip::internal
