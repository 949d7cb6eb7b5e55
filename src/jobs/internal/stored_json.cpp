#include "jobs/internal/stored_json.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <utility>

namespace trainyard::jobs::internal {
namespace {

constexpr int kDepthMax = 128;

/// Each method takes what it is named after off the text, or says that the text is none of ours.
class StoredText {
 public:
  explicit StoredText(std::string_view text) : at_(text.data()), end_(text.data() + text.size()) {}

  bool value(Document& out) {
    if (at_ == end_ || depth_ >= kDepthMax) return false;
    switch (*at_) {
      case '{':
        return object(out);
      case '[':
        return array(out);
      case '"':
        return string(out);
      case 't':
        out = Document(true);
        return word("true");
      case 'f':
        out = Document(false);
        return word("false");
      case 'n':
        out = Document();
        return word("null");
      default:
        return number(out);
    }
  }
  bool at_end() const { return at_ == end_; }

 private:
  bool take(char c) {
    if (at_ == end_ || *at_ != c) return false;
    ++at_;
    return true;
  }

  bool word(std::string_view expected) {
    if (!std::string_view(at_, static_cast<std::size_t>(end_ - at_)).starts_with(expected)) return false;
    at_ += expected.size();
    return true;
  }

  bool object(Document& out) {
    constexpr std::size_t kUsualMembers = 8;
    Document::Object members;
    ++at_;
    ++depth_;
    if (!take('}')) {
      members.reserve(kUsualMembers);
      do {
        auto& [key, member] = members.emplace_back();
        if (!text(key) || !take(':') || !value(member)) return false;
      } while (take(','));
      if (!take('}')) return false;
    }
    --depth_;
    out = Document::object(std::move(members));
    return true;
  }

  bool array(Document& out) {
    Document::Array items;
    ++at_;
    ++depth_;
    if (!take(']')) {
      do {
        if (!value(items.emplace_back())) return false;
      } while (take(','));
      if (!take(']')) return false;
    }
    --depth_;
    out = Document::array(std::move(items));
    return true;
  }

  bool string(Document& out) {
    std::string read;
    if (!text(read)) return false;
    out = Document(std::move(read));
    return true;
  }

  /// A string in quotation marks.
  bool text(std::string& out) {
    if (!take('"')) return false;
    for (;;) {
      const char* const plain_end = std::find_if(at_, end_, [](char c) { return c == '"' || c == '\\' || c < 0x20 || c == 0x7F; });
      out.append(at_, plain_end);
      at_ = plain_end;
      if (take('"')) return true;
      if (!take('\\') || !escape(out)) return false;
    }
  }

  /// What stands behind a backslash; \u is left to parse_json.
  bool escape(std::string& out) {
    constexpr std::string_view kNames = "\"\\/bfnrt";
    constexpr std::string_view kMeant = "\"\\/\b\f\n\r\t";
    if (at_ == end_) return false;
    const std::size_t place = kNames.find(*at_++);
    if (place == std::string_view::npos) return false;
    out += kMeant[place];
    return true;
  }

  bool number(Document& out) {
    const char* const end = std::find_if(at_, end_, [](char c) { return c == ',' || c == '}' || c == ']'; });
    const bool negative = *at_ == '-';
    const char* const digits = at_ + (negative ? 1 : 0);
    const bool padded = end - digits > 1 && *digits == '0';
    if (digits == end || padded || !std::all_of(digits, end, [](char c) { return c >= '0' && c <= '9'; })) return real(out, end);
    if (negative) {
      std::int64_t read = 0;
      if (const auto [stop, error] = std::from_chars(at_, end, read); error != std::errc() || stop != end) return false;
      out = Document(read);
    } else {
      std::uint64_t read = 0;
      if (const auto [stop, error] = std::from_chars(at_, end, read); error != std::errc() || stop != end) return false;
      out = Document(read);
    }
    at_ = end;
    return true;
  }

  /// Digits of a number, at least one; returns what follows them. Null: there is none.
  static const char* after_digits(const char* from, const char* end) {
    const char* const stop = std::find_if(from, end, [](char c) { return c < '0' || c > '9'; });
    return stop == from ? nullptr : stop;
  }

  bool real(Document& out, const char* end) {
    const char* const digits = at_ + (*at_ == '-' ? 1 : 0);
    const char* rest = after_digits(digits, end);
    if (rest == nullptr || (*digits == '0' && rest - digits > 1)) return false;
    if (rest != end && *rest == '.') rest = after_digits(rest + 1, end);
    if (rest != nullptr && rest != end && (*rest == 'e' || *rest == 'E')) {
      const bool signs = rest + 1 != end && (rest[1] == '+' || rest[1] == '-');
      rest = after_digits(rest + (signs ? 2 : 1), end);
    }
    if (rest != end) return false;
    double read = 0;
    const auto [stop, error] = std::from_chars(at_, end, read);
    if (error != std::errc() || stop != end) return false;
    out = Document(read);
    at_ = end;
    return true;
  }

  const char* at_;
  const char* end_;
  int depth_ = 0;
};

}  // namespace

std::optional<Document> parse_stored_json(std::string_view text) {
  StoredText stored(text);
  Document document;
  if (!stored.value(document) || !stored.at_end()) return std::nullopt;
  return document;
}

}  // namespace trainyard::jobs::internal
