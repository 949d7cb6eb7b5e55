#include "api/platform/paging.h"

#include <fmt/format.h>

#include <algorithm>

#include "base/checksum.h"
#include "base/file.h"

namespace trainyard::api {
namespace {

constexpr std::string_view kDigits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
constexpr std::size_t kCursorMax = 4'096;

/// base64url without padding (RFC 4648 section 5).
std::string encode_base64url(std::string_view bytes) {
  std::string out;
  unsigned buffer = 0;
  unsigned bits = 0;
  for (const char c : bytes) {
    buffer = ((buffer << 8) | static_cast<unsigned char>(c)) & 0xffffff;
    for (bits += 8; bits >= 6; bits -= 6) out.push_back(kDigits[(buffer >> (bits - 6)) & 63]);
  }
  if (bits > 0) out.push_back(kDigits[(buffer << (6 - bits)) & 63]);
  return out;
}

std::optional<std::string> decode_base64url(std::string_view text) {
  std::string out;
  unsigned buffer = 0;
  unsigned bits = 0;
  for (const char c : text) {
    const std::size_t digit = kDigits.find(c);
    if (digit == std::string_view::npos) return std::nullopt;
    buffer = ((buffer << 6) | static_cast<unsigned>(digit)) & 0xffffff;
    bits += 6;
    if (bits < 8) continue;
    bits -= 8;
    out.push_back(static_cast<char>((buffer >> bits) & 0xff));
  }
  return out;
}

std::string digest_of(std::string_view text) { return fmt::format("{:016x}", xxh3_64(as_bytes(text))); }

std::string checksum_of(std::string_view question_digest, std::string_view position) {
  return digest_of(fmt::format("cursor {} {}", question_digest, position));
}

class NameCollector final : public FieldVisitor {
 public:
  void visit(std::string_view name, const Slot&, std::string_view) override { names.emplace_back(name); }
  void required() override {}
  std::vector<std::string> names;
};

}  // namespace

std::string make_cursor(std::string_view question, std::string_view position) {
  const std::string digest = digest_of(question);
  return encode_base64url(to_json(Document::object({{"q", digest}, {"p", position}, {"c", checksum_of(digest, position)}})));
}

Result<std::string> read_cursor(std::string_view cursor, std::string_view question) {
  const Error bad = invalid_argument(
      "page.cursor", "the cursor is not one that this server gave; take `next_cursor` of the page before, or begin without one", "/cursor");
  if (cursor.size() > kCursorMax) return bad;
  const std::optional<std::string> text = decode_base64url(cursor);
  if (!text) return bad;
  const Result<Document> content = parse_json(*text);
  if (!content.ok() || !content->is_object()) return bad;
  const std::string& digest = (*content)["q"].text();
  const std::string& position = (*content)["p"].text();
  if ((*content)["c"].text() != checksum_of(digest, position)) return bad;
  if (digest == digest_of(question)) return position;
  return invalid_argument("page.other_question",
                          "the cursor belongs to a list with another filter or order; begin the changed list without a cursor", "/cursor");
}

net::ParameterDoc limit_parameter(std::int64_t fallback, std::int64_t max) {
  return net::query_integer("limit", {.min = 1, .max = static_cast<double>(max)}, fallback, "How many at most.");
}
net::ParameterDoc cursor_parameter() {
  return net::query_text("cursor", "Where the page begins: `next_cursor` of the page before; absent: at the beginning.");
}
net::ParameterDoc fields_parameter() {
  return net::query_text("fields", "Names of the members to answer, separated by commas; absent: all of them.");
}

std::vector<std::string> field_names(const DescribeFunction& describe) {
  NameCollector collector;
  describe(collector);
  return std::move(collector.names);
}

Result<std::vector<std::string>> wanted_fields(std::string_view fields, const std::vector<std::string>& known) {
  std::vector<std::string> wanted;
  while (!fields.empty()) {
    const std::string_view name = fields.substr(0, fields.find(','));
    fields.remove_prefix(std::min(fields.size(), name.size() + 1));
    if (std::find(known.begin(), known.end(), name) == known.end()) {
      const std::optional<std::string> near = nearest(name, known);
      return invalid_argument("query.fields",
                              fmt::format("there is no member of this name{}; known ones: {}: \"{}\"",
                                          near ? fmt::format("; did you mean \"{}\"?", *near) : "", fmt::join(known, ", "), name),
                              "/fields");
    }
    wanted.emplace_back(name);
  }
  return wanted;
}

Result<Document> select_fields(Document items, std::string_view fields, const std::vector<std::string>& known) {
  if (fields.empty()) return items;
  ASSIGN_OR_RETURN(const std::vector<std::string> wanted, wanted_fields(fields, known));
  Document out = Document::array();
  for (const Document& item : items.items()) {
    Document chosen = Document::object();
    for (const auto& [key, value] : item.members()) {
      if (std::find(wanted.begin(), wanted.end(), key) != wanted.end()) chosen.append_member(key, value);
    }
    out.push(std::move(chosen));
  }
  return out;
}

}  // namespace trainyard::api
