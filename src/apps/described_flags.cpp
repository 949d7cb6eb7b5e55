#include "apps/described_flags.h"

#include <fmt/format.h>
#include <CLI/CLI.hpp>

namespace trainyard::apps {
namespace {

std::string type_text(const Document& property) {
  if (property["minimum"].is_number() && property["maximum"].is_number()) {
    return fmt::format("{:g}..{:g}", property["minimum"].as_double().value_or(0), property["maximum"].as_double().value_or(0));
  }
  return property["type"].text() == "integer" ? "NUMBER" : "TEXT";
}

std::string default_text(const Document& property) {
  const Document& value = property["default"];
  const std::string text = value.is_string() ? value.text() : value.is_null() ? "" : to_json(value);
  return text.empty() ? "" : " [" + text + "]";
}

void add_flag(CLI::App& app, const std::string& name, const Document& property, Document& given) {
  const bool by_default = property["default"] == Document(true);
  const std::string flag = by_default ? "--no-" + name : "--" + name;
  const std::string doc = (by_default ? "Turns off " : "") + property["description"].text();
  app.add_flag_function(
      flag, [&given, name, by_default](std::int64_t) { given.set(name, !by_default); }, doc);
}

}  // namespace

void add_described_flags(CLI::App& app, const Document& schema, Document& given) {
  for (const auto& [name, property] : schema["properties"].members()) {
    if (property["type"].text() == "boolean") {
      add_flag(app, name, property, given);
      continue;
    }
    const auto take = [&given, key = name](const std::string& text) {
      Document value(text);
      value.set_where("--" + key);
      given.set(key, std::move(value));
    };
    app.add_option_function<std::string>("--" + name, take, property["description"].text())
        ->option_text(type_text(property) + default_text(property));
  }
}

}  // namespace trainyard::apps
