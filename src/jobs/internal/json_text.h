#pragma once
#include <cstdint>
#include <string>
#include <string_view>

#include "base/document.h"
#include "base/time.h"

namespace trainyard::jobs::internal {

/// Appends JSON to a text, member by member, without a tree in between. What it writes is what to_json would write of the same values.
/// The text is whole after `finish` and must be left alone before.
class JsonText {
 public:
  /// Whether `out` begins a value or stands in an object that has members.
  enum class Where { kStart, kInside };
  explicit JsonText(std::string& out, Where where = Where::kStart) : out_(out), length_(out.size()), first_(where == Where::kStart) {}
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

  /// To be called last.
  void finish() { out_.resize(length_); }

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

  std::string& out_;    ///< Longer than the text while it is being written.
  std::size_t length_;  ///< Of the text.
  bool first_;          ///< Nothing stands in the innermost object or array yet.
};

}  // namespace trainyard::jobs::internal
