#include <fmt/format.h>
#include <yaml-cpp/depthguard.h>
#include <yaml-cpp/eventhandler.h>
#include <yaml-cpp/yaml.h>

#include <algorithm>
#include <charconv>
#include <cmath>
#include <limits>
#include <optional>
#include <sstream>
#include <unordered_map>

#include "base/document.h"

namespace trainyard {
namespace {

/// Walks yaml-cpp's tree and resolves plain scalars by the YAML 1.2 core schema.
class YamlReader {
 public:
  YamlReader(std::string_view name, const ParseLimits& limits) : name_(name), limits_(limits) {}

  Result<Document> read(const YAML::Node& node, std::size_t depth) {
    if (++nodes_ > limits_.nodes_max) {
      return invalid_argument(
          "document.too_large",
          fmt::format("the document has more than {} values; make it smaller, and repeat less by aliases", limits_.nodes_max), where(node));
    }
    if (depth > limits_.depth_max && (node.IsMap() || node.IsSequence())) {
      return too_deep(where(node));
    }
    ASSIGN_OR_RETURN(Document document, read_by_kind(node, depth));
    document.set_where(where(node));
    return document;
  }

  Error too_deep(std::string place) const {
    return invalid_argument(
        "document.too_deep",
        fmt::format("the document is nested deeper than {} levels; make it flatter, and let no alias stand for what it is part of",
                    limits_.depth_max),
        std::move(place));
  }

  std::string where(const YAML::Node& node) const { return where(node.Mark()); }
  std::string where(const YAML::Mark& mark) const {
    if (mark.line < 0) return std::string(name_);
    return fmt::format("{}:{}:{}", name_, mark.line + 1, mark.column + 1);
  }

 private:
  Result<Document> read_by_kind(const YAML::Node& node, std::size_t depth) {
    TRY(refuse_tag(node));
    if (node.IsMap()) return read_map(node, depth);
    if (node.IsSequence()) {
      Document list = Document::array();
      for (const YAML::Node& item : node) {
        ASSIGN_OR_RETURN(Document value, read(item, depth + 1));
        list.push(std::move(value));
      }
      return list;
    }
    if (!node.IsDefined() || node.IsNull()) return Document();
    // yaml-cpp marks quoted scalars with the tag "!".
    return node.Tag() == "!" ? Document(node.Scalar()) : plain_scalar(node.Scalar());
  }

  Result<void> refuse_tag(const YAML::Node& node) const {
    const std::string& tag = node.Tag();
    if (tag.empty() || tag == "?" || tag == "!") return {};
    return invalid_argument("yaml.tag", fmt::format("tags are not allowed; remove it, texts are told by quotes: {}", tag), where(node));
  }

  Result<Document> read_map(const YAML::Node& node, std::size_t depth) {
    Document object = Document::object();
    std::unordered_map<std::string_view, int> lines;
    for (const auto& entry : node) {
      if (!entry.first.IsScalar())
        return invalid_argument("yaml.key", "a key must be a plain text, no list and no map; put it into quotes", where(entry.first));
      TRY(refuse_tag(entry.first));
      const std::string& key = entry.first.Scalar();
      if (const auto [first, fresh] = lines.emplace(key, entry.first.Mark().line + 1); !fresh) {
        return invalid_argument(
            "document.duplicate_key",
            fmt::format("the key \"{}\" stands twice in one object, first in line {}; remove one of them", key, first->second),
            where(entry.first));
      }
      ASSIGN_OR_RETURN(Document value, read(entry.second, depth + 1));
      // The key's place is where a reader looks for a faulty member.
      value.set_where(where(entry.first));
      object.append_member(key, std::move(value));
    }
    return object;
  }

  static Document plain_scalar(const std::string& text) {
    if (text.empty() || text == "~" || text == "null" || text == "Null" || text == "NULL") return Document();
    if (text == "true" || text == "True" || text == "TRUE") return Document(true);
    if (text == "false" || text == "False" || text == "FALSE") return Document(false);
    return number(text).value_or(Document(text));
  }

  /// The integers and floats of the core schema; whatever else from_chars takes ("-inf", "nan") is text.
  static std::optional<Document> number(std::string_view text) {
    const bool negative = text[0] == '-';
    const std::string_view magnitude = text.substr(negative || text[0] == '+' ? 1 : 0);
    if (magnitude == ".inf" || magnitude == ".Inf" || magnitude == ".INF") {
      return Document(negative ? -std::numeric_limits<double>::infinity() : std::numeric_limits<double>::infinity());
    }
    if (text == ".nan" || text == ".NaN" || text == ".NAN") return Document(std::numeric_limits<double>::quiet_NaN());
    if (magnitude.empty() || std::string_view("0123456789.").find(magnitude.front()) == std::string_view::npos) return std::nullopt;
    if (text.starts_with("0x")) return whole<std::uint64_t>(text.substr(2), 16);
    if (text.starts_with("0o")) return whole<std::uint64_t>(text.substr(2), 8);
    const std::string_view signed_text = negative ? text : magnitude;
    if (std::optional<Document> integer = whole<std::int64_t>(signed_text, 10)) return integer;
    if (std::optional<Document> large = whole<std::uint64_t>(signed_text, 10)) return large;
    double real = 0;
    const char* end = signed_text.data() + signed_text.size();
    const auto [stop, error] = std::from_chars(signed_text.data(), end, real);
    return error == std::errc() && stop == end ? std::optional(Document(real)) : std::nullopt;
  }

  /// All of `text` as an integer of this base.
  template <typename Number>
  static std::optional<Document> whole(std::string_view text, int base) {
    Number value = 0;
    const char* end = text.data() + text.size();
    const auto [stop, error] = std::from_chars(text.data(), end, value, base);
    return error == std::errc() && stop == end ? std::optional(Document(value)) : std::nullopt;
  }

  std::string_view name_;
  ParseLimits limits_;
  std::size_t nodes_ = 0;
};

/// Only notes where the last document of a text begins.
class DocumentStart final : public YAML::EventHandler {
 public:
  YAML::Mark mark;

  void OnDocumentStart(const YAML::Mark& start) override { mark = start; }
  void OnDocumentEnd() override {}
  void OnNull(const YAML::Mark&, YAML::anchor_t) override {}
  void OnAlias(const YAML::Mark&, YAML::anchor_t) override {}
  void OnScalar(const YAML::Mark&, const std::string&, YAML::anchor_t, const std::string&) override {}
  void OnSequenceStart(const YAML::Mark&, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {}
  void OnSequenceEnd() override {}
  void OnMapStart(const YAML::Mark&, const std::string&, YAML::anchor_t, YAML::EmitterStyle::value) override {}
  void OnMapEnd() override {}
};

/// Length of the UTF-8 sequence that `text` begins with; 0: there is none.
std::size_t sequence_length(std::string_view text) {
  const auto byte = [text](std::size_t i) { return i < text.size() ? static_cast<unsigned char>(text[i]) : 0U; };
  const unsigned first = byte(0);
  if (first < 0x80) return 1;
  const std::size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || length > text.size()) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0U) != 0x80) return 0;
  }
  // Too long a form, a surrogate, or beyond the last character.
  const bool wrong = (first == 0xe0 && byte(1) < 0xa0) || (first == 0xed && byte(1) >= 0xa0) || (first == 0xf0 && byte(1) < 0x90) ||
                     (first == 0xf4 && byte(1) >= 0x90);
  return wrong ? 0 : length;
}

/// YAML is UTF-8 without control characters here; the parser would guess otherwise, and replace what it cannot read.
Result<void> check_encoding(std::string_view text, std::string_view name) {
  std::size_t line = 1;
  std::size_t column = 1;
  if (text.starts_with("\xff\xfe") || text.starts_with("\xfe\xff")) {
    return invalid_argument("yaml.encoding", "the text is UTF-16; save it as UTF-8", fmt::format("{}:1:1", name));
  }
  for (std::string_view rest = text; !rest.empty();) {
    const std::size_t length = sequence_length(rest);
    const auto byte = static_cast<unsigned char>(rest.front());
    if (length == 0) {
      return invalid_argument("yaml.encoding", fmt::format("the text is not UTF-8; save it as UTF-8: byte 0x{:02x}", byte),
                              fmt::format("{}:{}:{}", name, line, column));
    }
    if (byte < 0x20 && byte != '\t' && byte != '\n' && byte != '\r') {
      return invalid_argument("yaml.control",
                              fmt::format("a control character must not stand in the text; write it as \"\\x{0:02x}\" in double quotes: "
                                          "byte 0x{0:02x}",
                                          byte),
                              fmt::format("{}:{}:{}", name, line, column));
    }
    column = byte == '\n' ? 1 : column + 1;
    line += byte == '\n' ? 1 : 0;
    rest.remove_prefix(length);
  }
  return {};
}

/// Whether the line at this place is indented with a tab.
bool is_tab_indented(std::string_view text, const YAML::Mark& mark) {
  if (mark.pos < 0 || static_cast<std::size_t>(mark.pos) > text.size()) return false;
  const std::size_t begin = text.rfind('\n', static_cast<std::size_t>(std::max(mark.pos - 1, 0)));
  const std::string_view line = text.substr(begin == std::string_view::npos ? 0 : begin + 1);
  return line.substr(0, line.find_first_not_of(" \t")).find('\t') != std::string_view::npos;
}

/// What to do about a text that the parser refused.
std::string_view advice_about(const YAML::Exception& cause, std::string_view text) {
  struct Advice {
    std::string_view reason;
    std::string_view text;
  };
  static constexpr Advice kAdvice[] = {
      {"illegal map value", "put a value that holds \": \" into quotes"},
      {"end of map not found", "indent it like the line that it belongs to"},
      {"end of sequence not found", "indent it like the line that it belongs to"},
      {"flow", "close the bracket or the quote that is open here or above"},
      {"quote", "close the quote"},
      {"anchor is not defined", "define the anchor above it, as &NAME, or put the text into quotes"},
  };
  if (is_tab_indented(text, cause.mark)) return "indent with blanks, not with tabs";
  for (const Advice& advice : kAdvice) {
    if (cause.msg.find(advice.reason) != std::string::npos) return advice.text;
  }
  return "look at the indentation, the quotes and the brackets here and above";
}

/// Refuses whatever follows the first document. YAML::LoadAll is no way to find it: it never ends on a text like ",".
Result<void> refuse_second_document(const std::string& text, const YamlReader& reader) {
  std::istringstream stream(text);
  YAML::Parser parser(stream);
  DocumentStart start;
  if (!parser.HandleNextDocument(start) || !parser.HandleNextDocument(start)) return {};
  const auto position = static_cast<std::size_t>(std::max(start.mark.pos, 0));
  if (text.compare(std::min(position, text.size()), 3, "---") == 0) {
    return invalid_argument("yaml.several_documents", "expected one document, another one starts here; give each a file of its own",
                            reader.where(start.mark));
  }
  return invalid_argument("yaml.malformed", "unexpected text after the end of the document; look at the indentation and the brackets above",
                          reader.where(start.mark));
}

/// True when `text` does not read back as itself without quotes.
bool needs_quotes(const std::string& text) {
  // At the end of a line a carriage return would become part of the line break.
  if (text.empty() || text.find('\r') != std::string::npos) return true;
  const Result<Document> parsed = parse_yaml(text, "scalar");
  return !parsed.ok() || !parsed.value().is_string() || parsed.value().as_string().value() != text;
}

void emit_text(YAML::Emitter& out, const std::string& text) {
  if (needs_quotes(text)) out << YAML::DoubleQuoted;
  out << text;
}

void emit(YAML::Emitter& out, const Document& document) {
  switch (document.kind()) {
    case Document::Kind::kNull:
      out << YAML::Null;
      return;
    case Document::Kind::kBool:
      out << document.as_bool().value();
      return;
    case Document::Kind::kInt:
      out << document.as_int().value();
      return;
    case Document::Kind::kUnsigned:
      out << document.as_unsigned().value();
      return;
    case Document::Kind::kDouble: {
      const double value = document.as_double().value();
      const std::string text = std::isfinite(value) ? fmt::format("{}", value) : std::isnan(value) ? ".nan" : value > 0 ? ".inf" : "-.inf";
      out << (std::isfinite(value) && text.find_first_of(".e") == std::string::npos ? text + ".0" : text);
      return;
    }
    case Document::Kind::kString:
      emit_text(out, document.text());
      return;
    case Document::Kind::kArray:
      out << YAML::BeginSeq;
      for (const Document& item : document.items()) emit(out, item);
      out << YAML::EndSeq;
      return;
    case Document::Kind::kObject:
      out << YAML::BeginMap;
      for (const auto& [key, value] : document.members()) {
        out << YAML::Key;
        emit_text(out, key);
        out << YAML::Value;
        emit(out, value);
      }
      out << YAML::EndMap;
      return;
  }
}

}  // namespace

Result<Document> parse_yaml(std::string_view text, std::string_view name, const ParseLimits& limits) {
  YamlReader reader(name, limits);
  try {
    TRY(check_encoding(text, name));
    const std::string copy(text);
    TRY(refuse_second_document(copy, reader));
    return reader.read(YAML::Load(copy), 1);
  } catch (const YAML::DeepRecursion& cause) {
    return reader.too_deep(reader.where(cause.mark));
  } catch (const YAML::Exception& cause) {
    return invalid_argument("yaml.malformed", fmt::format("the text is no YAML: {}; {}", cause.msg, advice_about(cause, text)),
                            reader.where(cause.mark));
  }
}

std::string to_yaml(const Document& document) {
  YAML::Emitter out;
  emit(out, document);
  return std::string(out.c_str()) + "\n";
}

}  // namespace trainyard
