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
#include <unordered_set>

#include "base/document.h"

namespace trainyard {
namespace {

/// Walks yaml-cpp's tree and resolves plain scalars by the YAML 1.2 core schema.
class YamlReader {
 public:
  YamlReader(std::string_view name, const ParseLimits& limits) : name_(name), limits_(limits) {}

  Result<Document> read(const YAML::Node& node, std::size_t depth) {
    if (++nodes_ > limits_.nodes_max) {
      return invalid_argument("document.too_large", fmt::format("the document has more than {} values", limits_.nodes_max), where(node));
    }
    if (depth > limits_.depth_max && (node.IsMap() || node.IsSequence())) {
      return invalid_argument("document.too_deep", fmt::format("the document is nested deeper than {} levels", limits_.depth_max),
                              where(node));
    }
    ASSIGN_OR_RETURN(Document document, read_by_kind(node, depth));
    document.set_where(where(node));
    return document;
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
    return invalid_argument("yaml.tag", fmt::format("tags are not allowed: {}", tag), where(node));
  }

  Result<Document> read_map(const YAML::Node& node, std::size_t depth) {
    Document object = Document::object();
    std::unordered_set<std::string_view> keys;
    for (const auto& entry : node) {
      if (!entry.first.IsScalar()) return invalid_argument("yaml.key", "a key must be a plain text", where(entry.first));
      TRY(refuse_tag(entry.first));
      const std::string& key = entry.first.Scalar();
      if (!keys.insert(key).second) {
        return invalid_argument("document.duplicate_key", fmt::format("the key \"{}\" stands twice in one object", key),
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

/// Refuses whatever follows the first document. YAML::LoadAll is no way to find it: it never ends on a text like ",".
Result<void> refuse_second_document(const std::string& text, const YamlReader& reader) {
  std::istringstream stream(text);
  YAML::Parser parser(stream);
  DocumentStart start;
  if (!parser.HandleNextDocument(start) || !parser.HandleNextDocument(start)) return {};
  const auto position = static_cast<std::size_t>(std::max(start.mark.pos, 0));
  if (text.compare(std::min(position, text.size()), 3, "---") == 0) {
    return invalid_argument("yaml.several_documents", "expected one document, another one starts here", reader.where(start.mark));
  }
  return invalid_argument("yaml.malformed", "unexpected text after the end of the document", reader.where(start.mark));
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
    const std::string copy(text);
    TRY(refuse_second_document(copy, reader));
    return reader.read(YAML::Load(copy), 1);
  } catch (const YAML::DeepRecursion& cause) {
    return invalid_argument("document.too_deep", fmt::format("the document is nested deeper than {} levels", limits.depth_max),
                            reader.where(cause.mark));
  } catch (const YAML::Exception& cause) {
    return invalid_argument("yaml.malformed",
                            "the text is no YAML; look at the indentation, the quotes and the brackets here and above: " + cause.msg,
                            reader.where(cause.mark));
  }
}

std::string to_yaml(const Document& document) {
  YAML::Emitter out;
  emit(out, document);
  return std::string(out.c_str()) + "\n";
}

}  // namespace trainyard
