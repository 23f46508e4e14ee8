#include "client/fake_tls_server.h"

#include <arpa/inet.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <sys/socket.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "client/text.h"

namespace fleet::client {
namespace {

[[noreturn]] void Die(const char* what) {
  std::perror(what);
  std::abort();
}

// Signed by itself, so that it is its own authority.
X509* MakeCertificate(EVP_PKEY* key) {
  X509* certificate = X509_new();
  X509_set_version(certificate, 2);
  ASN1_INTEGER_set(X509_get_serialNumber(certificate), 1);
  X509_gmtime_adj(X509_getm_notBefore(certificate), -3600);
  X509_gmtime_adj(X509_getm_notAfter(certificate), 3600);
  X509_set_pubkey(certificate, key);
  X509_NAME* name = X509_get_subject_name(certificate);
  X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_ASC,
                             reinterpret_cast<const unsigned char*>("fleet test"), -1, -1, 0);
  X509_set_issuer_name(certificate, name);
  X509_EXTENSION* names =
      X509V3_EXT_conf_nid(nullptr, nullptr, NID_subject_alt_name, "IP:127.0.0.1");
  X509_add_ext(certificate, names, -1);
  X509_EXTENSION_free(names);
  X509_sign(certificate, key, EVP_sha256());
  return certificate;
}

}  // namespace

struct FakeTlsServer::Tls {
  SSL_CTX* context = nullptr;
};

FakeTlsServer::FakeTlsServer(const std::string& file, std::string body, bool mutual)
    : body_(std::move(body)), tls_(new Tls) {
  std::signal(SIGPIPE, SIG_IGN);  // OpenSSL writes without MSG_NOSIGNAL
  EVP_PKEY* key = EVP_EC_gen("P-256");
  X509* certificate = MakeCertificate(key);
  FILE* out = std::fopen(file.c_str(), "w");
  if (out == nullptr) Die("the certificate's file");
  PEM_write_X509(out, certificate);
  PEM_write_PrivateKey(out, key, nullptr, nullptr, 0, nullptr, nullptr);
  std::fclose(out);
  tls_->context = SSL_CTX_new(TLS_server_method());
  if (SSL_CTX_use_certificate(tls_->context, certificate) != 1 ||
      SSL_CTX_use_PrivateKey(tls_->context, key) != 1) {
    Die("the certificate");
  }
  if (mutual) {
    SSL_CTX_load_verify_locations(tls_->context, file.c_str(), nullptr);
    SSL_CTX_set_verify(tls_->context, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  }
  X509_free(certificate);
  EVP_PKEY_free(key);

  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0) Die("bind");
  getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size);
  port_ = std::to_string(ntohs(address.sin_port));
  endpoint_ = Cat("https://127.0.0.1:", port_);
  if (listen(listener_, 8) != 0) Die("listen");
  thread_ = std::thread([this] { Serve(); });
}

FakeTlsServer::~FakeTlsServer() {
  stopping_ = true;
  shutdown(listener_, SHUT_RDWR);
  if (const int fd = connection_; fd >= 0) shutdown(fd, SHUT_RDWR);
  thread_.join();
  close(listener_);
  SSL_CTX_free(tls_->context);
  delete tls_;
}

void FakeTlsServer::Serve() {
  for (;;) {
    const int fd = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) return;
    connection_ = fd;
    if (!stopping_) ServeOne(fd);
    connection_ = -1;
    close(fd);
  }
}

void FakeTlsServer::ServeOne(int fd) {
  SSL* ssl = SSL_new(tls_->context);
  SSL_set_fd(ssl, fd);
  std::string request;
  if (SSL_accept(ssl) == 1) {
    char bytes[4096];
    for (int n = 0; (n = SSL_read(ssl, bytes, sizeof(bytes))) > 0;) {
      request.append(bytes, static_cast<size_t>(n));
      if (!request.ends_with("\r\n\r\n")) continue;
      request.clear();
      const std::string answer =
          Cat("HTTP/1.1 200 OK\r\nContent-Length: ", body_.size(), "\r\n\r\n", body_);
      if (SSL_write(ssl, answer.data(), static_cast<int>(answer.size())) <= 0) break;
    }
  }
  SSL_free(ssl);
}

}  // namespace fleet::client
