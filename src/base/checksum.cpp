#include "base/checksum.h"

#include <openssl/evp.h>
#include <xxhash.h>

#include "base/check.h"
#include "base/file.h"

namespace trainyard {
namespace {

std::string hex_of(std::span<const unsigned char> bytes) {
  constexpr std::string_view kDigits = "0123456789abcdef";
  std::string hex;
  hex.reserve(bytes.size() * 2);
  for (const unsigned char byte : bytes) {
    hex += kDigits[byte >> 4];
    hex += kDigits[byte & 15];
  }
  return hex;
}

}  // namespace

std::string xxh3_hex(std::span<const std::byte> bytes) {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, XXH3_128bits(bytes.data(), bytes.size()));
  return hex_of(canonical.digest);
}

std::uint64_t xxh3_64(std::span<const std::byte> bytes) { return XXH3_64bits(bytes.data(), bytes.size()); }

struct Xxh3::State {
  XXH3_state_t* hash = XXH3_createState();
  ~State() { XXH3_freeState(hash); }
};

Xxh3::Xxh3() : state_(std::make_unique<State>()) {
  CHECK(state_->hash != nullptr && XXH3_128bits_reset(state_->hash) == XXH_OK, "XXH3 is not available");
}

Xxh3::~Xxh3() = default;

void Xxh3::update(std::span<const std::byte> bytes) {
  CHECK(XXH3_128bits_update(state_->hash, bytes.data(), bytes.size()) == XXH_OK, "XXH3 update");
}

std::string Xxh3::finish_hex() {
  XXH128_canonical_t canonical;
  XXH128_canonicalFromHash(&canonical, XXH3_128bits_digest(state_->hash));
  return hex_of(canonical.digest);
}

struct Sha256::State {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  ~State() { EVP_MD_CTX_free(context); }
};

Sha256::Sha256() : state_(std::make_unique<State>()) {
  CHECK(state_->context != nullptr && EVP_DigestInit_ex(state_->context, EVP_sha256(), nullptr) == 1, "SHA-256 is not available");
}

Sha256::~Sha256() = default;

void Sha256::update(std::span<const std::byte> bytes) {
  CHECK(EVP_DigestUpdate(state_->context, bytes.data(), bytes.size()) == 1, "SHA-256 update");
}

std::string Sha256::finish_hex() {
  std::array<unsigned char, 32> digest{};
  CHECK(EVP_DigestFinal_ex(state_->context, digest.data(), nullptr) == 1, "SHA-256 final");
  return hex_of(digest);
}

std::string sha256_hex(std::string_view text) {
  Sha256 hash;
  hash.update(as_bytes(text));
  return hash.finish_hex();
}

}  // namespace trainyard
