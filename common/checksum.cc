#include "common/checksum.h"

#include <isa-l/crc.h>

namespace penstock {
namespace {

constexpr uint32_t kPolynomial = 0x82F63B78;  // reflected Castagnoli

// GF(2) 32x32 matrices over the reflected CRC register, as in zlib's crc32_combine.
struct Matrix {
  uint32_t column[32];
};

uint32_t Times(const Matrix& m, uint32_t vector) {
  uint32_t sum = 0;
  for (int i = 0; vector != 0; ++i, vector >>= 1) {
    if (vector & 1) sum ^= m.column[i];
  }
  return sum;
}

Matrix Square(const Matrix& m) {
  Matrix result;
  for (int i = 0; i < 32; ++i) result.column[i] = Times(m, m.column[i]);
  return result;
}

// The operator that appends `length` zero bytes to a checksum.
Matrix ZerosOperator(size_t length) {
  Matrix power;  // one zero bit
  power.column[0] = kPolynomial;
  for (int i = 1; i < 32; ++i) power.column[i] = uint32_t{1} << (i - 1);
  for (int i = 0; i < 3; ++i) power = Square(power);  // one zero byte
  Matrix result;
  for (int i = 0; i < 32; ++i) result.column[i] = uint32_t{1} << i;
  for (; length != 0; length >>= 1) {
    if (length & 1) {
      for (int i = 0; i < 32; ++i) result.column[i] = Times(power, result.column[i]);
    }
    power = Square(power);
  }
  return result;
}

}  // namespace

uint32_t Crc32c(std::string_view data, uint32_t before) {
  if (data.empty()) return before;
  // crc32_iscsi takes a non-const pointer and an int length, and works on the raw register.
  uint32_t crc = ~before;
  auto* p = reinterpret_cast<unsigned char*>(const_cast<char*>(data.data()));
  size_t left = data.size();
  while (left > 0) {
    int step = static_cast<int>(left < (size_t{1} << 30) ? left : (size_t{1} << 30));
    crc = crc32_iscsi(p, step, crc);
    p += step;
    left -= step;
  }
  return ~crc;
}

uint32_t Crc32cCombine(uint32_t crc_a, uint32_t crc_b, size_t length_b) {
  if (length_b == 0) return crc_a;
  return Times(ZerosOperator(length_b), crc_a) ^ crc_b;
}

Crc32cCombiner::Crc32cCombiner(size_t block_length) : block_length_(block_length) {
  Matrix m = ZerosOperator(block_length);
  for (int byte = 0; byte < 4; ++byte) {
    for (uint32_t v = 0; v < 256; ++v) table_[byte][v] = Times(m, v << (8 * byte));
  }
}

uint32_t Crc32cCombiner::Append(uint32_t crc, uint32_t block_crc) const {
  return table_[0][crc & 255] ^ table_[1][(crc >> 8) & 255] ^ table_[2][(crc >> 16) & 255] ^
         table_[3][crc >> 24] ^ block_crc;
}

}  // namespace penstock
