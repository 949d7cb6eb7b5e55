#pragma once
#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/document.h"
#include "base/time.h"

namespace trainyard::jobs::internal {

/// Writes JSON member by member, without a tree in between. What it writes is what to_json would write of the same values. Texts of the
/// usual length are written on the stack, so that they cost one allocation of their size.
class JsonText {
 public:
  /// Whether it begins a value or stands in an object that has members.
  enum class Where { kStart, kInside };
  explicit JsonText(Where where = Where::kStart) : first_(where == Where::kStart) {}
  JsonText(const JsonText&) = delete;
  JsonText& operator=(const JsonText&) = delete;

  // Keys are names of ours, of letters, digits and underscores; keys of others go through the methods that say so.
  void begin_object() { open('{'); }
  void begin_object(std::string_view key) { open(key, '{'); }
  void end_object() { close('}'); }
  void begin_array(std::string_view key) { open(key, '['); }
  void end_array() { close(']'); }

  void member(std::string_view key, std::int64_t value);
  void member(std::string_view key, std::uint64_t value);
  void member(std::string_view key, int value) { member(key, std::int64_t{value}); }
  void member(std::string_view key, bool value);
  void member(std::string_view key, double value);
  void member(std::string_view key, std::string_view value);
  void member(std::string_view key, const char* value) { member(key, std::string_view(value)); }
  void member(std::string_view key, const std::string& value) { member(key, std::string_view(value)); }
  void member(std::string_view key, const Document& value);
  void member(std::string_view key, TimePoint value) { member(key, micros(value)); }
  void member_of_others(std::string_view any_key, std::string_view value);
  void begin_object_of_others(std::string_view any_key);
  void item(std::string_view value);
  void item(std::int64_t value);

  /// What was written so far; good until more is.
  std::string_view text() const { return {data_, length_}; }

  /// Where the text stands now; `rewind` to it takes back what was written since, if that is whole.
  struct Mark {
    std::size_t length;
    bool first;
  };
  Mark mark() const { return {length_, first_}; }
  void rewind(const Mark& to) {
    length_ = to.length;
    first_ = to.first;
  }

 private:
  /// Room for `more` characters from where the text ends.
  char* room(std::size_t more);
  void put(std::string_view text);
  void put_string(std::string_view text);
  void separate();
  void key(std::string_view name);
  void open(char bracket);
  void open(std::string_view name, char bracket);
  void close(char bracket);

  static constexpr std::size_t kUsualLength = 2048;

  std::array<char, kUsualLength> usual_;  ///< Not cleared: only what was written is read.
  std::unique_ptr<char[]> longer_;        ///< In its place when the text is longer.
  char* data_ = usual_.data();
  std::size_t size_ = kUsualLength;  ///< Of the room at `data_`.
  std::size_t length_ = 0;           ///< Of the text.
  bool first_;                       ///< Nothing stands in the innermost object or array yet.
};

}  // namespace trainyard::jobs::internal
