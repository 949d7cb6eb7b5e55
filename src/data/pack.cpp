#include "data/pack.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstring>

namespace trainyard::data {
namespace {

constexpr std::string_view kMagic = "TYPACK01";
constexpr std::uint32_t kVersion = 1;
constexpr std::size_t kFixedHead = 16;  ///< Magic, version and header length.
constexpr std::size_t kBufferBytes = std::size_t{1} << 20;

Error bad_pack(std::string what, const std::string& path) {
  return data_loss("data.pack", fmt::format("a pack cannot be read: {}; rebuild it with a curate job: {}", what, path));
}

std::uint32_t little_endian(std::span<const std::byte> bytes) {
  std::uint32_t value = 0;
  for (std::size_t i = 4; i-- > 0;) value = value << 8 | static_cast<std::uint32_t>(bytes[i]);
  return value;
}

void put_little_endian(std::span<std::byte> out, std::uint32_t value) {
  for (std::size_t i = 0; i < 4; ++i) out[i] = static_cast<std::byte>(value >> (8 * i));
}

Result<std::int64_t> count_at(const Document& document, std::string_view key) {
  ASSIGN_OR_RETURN(const std::int64_t value, document.int_at(key));
  if (value >= 0) return value;
  return data_loss("data.pack", fmt::format("a pack header has a negative {}", key));
}

Result<PackField> field_from(const Document& document) {
  PackField field;
  ASSIGN_OR_RETURN(field.name, document.string_at("name"));
  ASSIGN_OR_RETURN(field.type, document.string_at("type"));
  ASSIGN_OR_RETURN(const std::int64_t offset, count_at(document, "offset"));
  field.offset = static_cast<std::size_t>(offset);
  for (const Document& item : document["shape"].items()) {
    ASSIGN_OR_RETURN(const std::int64_t dimension, item.as_int());
    field.shape.push_back(dimension);
  }
  return field;
}

Result<PackHeader> parse_header(std::span<const std::byte> head) {
  if (as_text(head.first(kMagic.size())) != kMagic) return data_loss("data.pack", "it does not start with TYPACK01");
  if (const std::uint32_t version = little_endian(head.subspan(8)); version != kVersion) {
    return data_loss("data.pack", fmt::format("it has version {} and this program reads version {}", version, kVersion));
  }
  const std::size_t length = little_endian(head.subspan(12));
  if (length > kPackHeaderBytes - kFixedHead) return data_loss("data.pack", "its header is longer than 4080 bytes");
  ASSIGN_OR_RETURN(const Document document, parse_json(as_text(head.subspan(kFixedHead, length))));
  return pack_header_from(document);
}

}  // namespace

Document to_document(const PackHeader& header) {
  Document fields = Document::array();
  for (const PackField& field : header.fields) {
    Document shape = Document::array();
    for (const std::int64_t dimension : field.shape) shape.push(dimension);
    fields.push(Document::object(
        {{"name", field.name}, {"type", field.type}, {"shape", std::move(shape)}, {"offset", static_cast<std::int64_t>(field.offset)}}));
  }
  return Document::object({{"record_bytes", static_cast<std::int64_t>(header.record_bytes)},
                           {"rows", header.rows},
                           {"fields", std::move(fields)},
                           {"classes", header.classes},
                           {"checksum", header.checksum}});
}

Result<PackHeader> pack_header_from(const Document& document) {
  PackHeader header;
  ASSIGN_OR_RETURN(const std::int64_t record_bytes, count_at(document, "record_bytes"));
  if (record_bytes == 0) return data_loss("data.pack", "a pack header says that records are empty");
  header.record_bytes = static_cast<std::size_t>(record_bytes);
  ASSIGN_OR_RETURN(header.rows, count_at(document, "rows"));
  ASSIGN_OR_RETURN(header.classes, count_at(document, "classes"));
  ASSIGN_OR_RETURN(header.checksum, document.string_at("checksum"));
  for (const Document& item : document["fields"].items()) {
    ASSIGN_OR_RETURN(PackField field, field_from(item));
    if (field.offset >= header.record_bytes)
      return data_loss("data.pack", fmt::format("a pack field lies outside its record: {}", field.name));
    header.fields.push_back(std::move(field));
  }
  return header;
}

void PackReader::Unmap::operator()(const std::byte* begin) const { ::munmap(const_cast<std::byte*>(begin), size); }

Result<PackReader> PackReader::open(const std::string& path) {
  ASSIGN_OR_RETURN(const UniqueFd fd, open_file(path, O_RDONLY));
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return system_error(errno, "fstat", path);
  const auto size = static_cast<std::size_t>(info.st_size);
  if (size < kPackHeaderBytes) return bad_pack(fmt::format("{} bytes are less than its header", size), path);
  void* const address = ::mmap(nullptr, size, PROT_READ, MAP_SHARED, fd.get(), 0);
  if (address == MAP_FAILED) return system_error(errno, "mmap", path);
  Mapping mapping(static_cast<const std::byte*>(address), Unmap{size});

  Result<PackHeader> header = parse_header(std::span(mapping.get(), kPackHeaderBytes));
  if (!header.ok()) return bad_pack(header.error().message, path);
  const std::size_t body = size - kPackHeaderBytes;
  if (body % header->record_bytes != 0 || body / header->record_bytes != static_cast<std::size_t>(header->rows)) {
    return bad_pack(
        fmt::format("its header announces {} records of {} bytes and {} bytes follow", header->rows, header->record_bytes, body), path);
  }
  return PackReader(std::move(mapping), std::move(header).value(), path);
}

std::span<const std::byte> PackReader::records() const {
  return std::span(mapping_.get(), mapping_.get_deleter().size).subspan(kPackHeaderBytes);
}

std::span<const std::byte> PackReader::record(std::int64_t index) const {
  CHECK(index >= 0 && index < header_.rows, "pack record out of range");
  return records().subspan(static_cast<std::size_t>(index) * header_.record_bytes, header_.record_bytes);
}

Result<void> PackReader::verify() const {
  if ("xxh3:" + xxh3_hex(records()) == header_.checksum) return {};
  return bad_pack("its records do not match their checksum", path_);
}

Result<PackWriter> PackWriter::create(const std::string& path, PackHeader header) {
  CHECK(header.record_bytes > 0, "a pack needs records of at least one byte");
  ASSIGN_OR_RETURN(UniqueFd fd, open_file(path, O_RDWR | O_CREAT | O_TRUNC));
  header.rows = 0;
  PackWriter writer(std::move(fd), path, std::move(header));
  writer.buffer_.resize(kPackHeaderBytes);
  TRY(writer.flush());
  return writer;
}

Result<void> PackWriter::flush() {
  TRY(write_all(fd_.get(), buffer_, path_));
  buffer_.clear();
  return {};
}

Result<void> PackWriter::append(std::span<const std::byte> records) {
  CHECK(records.size() % header_.record_bytes == 0, "a pack takes whole records");
  hash_->update(records);
  header_.rows += static_cast<std::int64_t>(records.size() / header_.record_bytes);
  buffer_.insert(buffer_.end(), records.begin(), records.end());
  return buffer_.size() >= kBufferBytes ? flush() : Result<void>();
}

Result<PackHeader> PackWriter::finish() {
  TRY(flush());
  header_.checksum = "xxh3:" + hash_->finish_hex();
  const std::string json = to_json(to_document(header_));
  CHECK(json.size() <= kPackHeaderBytes - kFixedHead, "a pack header fits its page");
  std::array<std::byte, kPackHeaderBytes> head{};
  std::memcpy(head.data(), kMagic.data(), kMagic.size());
  put_little_endian(std::span(head).subspan(8), kVersion);
  put_little_endian(std::span(head).subspan(12), static_cast<std::uint32_t>(json.size()));
  std::memcpy(head.data() + kFixedHead, json.data(), json.size());
  if (::lseek(fd_.get(), 0, SEEK_SET) != 0) return system_error(errno, "lseek", path_);
  TRY(write_all(fd_.get(), head, path_));
  return header_;
}

}  // namespace trainyard::data
