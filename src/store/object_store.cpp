#include "store/object_store.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/checksum.h"
#include "base/file.h"

namespace trainyard::store {
namespace {

constexpr std::string_view kScheme = "ty://";
constexpr std::size_t kNameSizeMax = 1024;
constexpr std::size_t kSegmentSizeMax = 200;  // File systems take 255, and stores add endings of their own.

bool is_segment_character(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' || c == '=' || c == '-';
}

bool is_segment(std::string_view segment) {
  return !segment.empty() && segment.size() <= kSegmentSizeMax && segment != "." && segment != ".." &&
         std::all_of(segment.begin(), segment.end(), is_segment_character);
}

bool is_name(std::string_view text) {
  if (text.size() > kNameSizeMax || text.find('/') == std::string_view::npos) return false;
  for (;;) {
    const std::size_t slash = text.find('/');
    if (!is_segment(text.substr(0, slash))) return false;
    if (slash == std::string_view::npos) return true;
    text.remove_prefix(slash + 1);
  }
}

Error too_large(const ObjectName& name, std::size_t size_max) {
  return {Category::kResourceExhausted,
          "io.too_large",
          fmt::format("the object is too large to be read whole, read it in ranges; limit {} bytes, object {}", size_max, name.text),
          {},
          {}};
}

}  // namespace

Result<ObjectName> parse_object_name(std::string_view text) {
  if (is_name(text)) return ObjectName{std::string(text)};
  return invalid_argument("object.name",
                          fmt::format("an object name is bucket/key whose segments hold letters, digits and . _ = - only (at most {} "
                                      "characters, {} a segment), not \"{}\"",
                                      kNameSizeMax, kSegmentSizeMax, text.substr(0, kNameSizeMax)));
}

Result<ObjectName> parse_object_uri(std::string_view uri) {
  if (uri.starts_with(kScheme) && is_name(uri.substr(kScheme.size()))) return ObjectName{std::string(uri.substr(kScheme.size()))};
  return invalid_argument("object.uri", fmt::format("an object is addressed as ty://bucket/key, not \"{}\"", uri.substr(0, kNameSizeMax)));
}

std::string object_uri(const ObjectName& name) { return std::string(kScheme) + name.text; }

Result<std::string> read_object(ObjectStore& objects, const ObjectName& name, std::size_t size_max) {
  ASSIGN_OR_RETURN(const ObjectInfo info, objects.stat(name));
  if (info.size > size_max) return too_large(name, size_max);
  std::string bytes(info.size, '\0');
  ASSIGN_OR_RETURN(const std::size_t got, objects.read(name, 0, std::as_writable_bytes(std::span(bytes))));
  if (got != info.size || "xxh3:" + xxh3_hex(as_bytes(bytes)) != info.checksum) {
    return data_loss("object.corrupt", fmt::format("the object's bytes do not match its checksum, restore it from a copy: {}", name.text));
  }
  return bytes;
}

}  // namespace trainyard::store
