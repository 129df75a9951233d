/**
 * @module A certificate for 127.0.0.1 that exists for tests and nowhere else. Made once with openssl, valid from 2020 for a
 * hundred years: so that the tests need neither openssl nor today's date.
 */
export const certificate: { readonly cert: string; readonly key: string } = {
  cert: `-----BEGIN CERTIFICATE-----
MIIBXDCCAQKgAwIBAgIBATAKBggqhkjOPQQDAjAUMRIwEAYDVQQDDAkxMjcuMC4w
LjEwIBcNMjAwMTAxMDAwMDAwWhgPMjEyMDAxMDEwMDAwMDBaMBQxEjAQBgNVBAMM
CTEyNy4wLjAuMTBZMBMGByqGSM49AgEGCCqGSM49AwEHA0IABGUyABjLMNk3EXNG
redJq5hsGVi3hhpXGYPbNcFeF/TOkOIVUCSEi4ZJYYzH4RXVfSaHrBPDCrkb7dEv
DtzcnBejQzBBMA8GA1UdEQQIMAaHBH8AAAEwDwYDVR0TAQH/BAUwAwEB/zAdBgNV
HQ4EFgQU7KSu1+Nbx9kTswWVMEopay+AaRwwCgYIKoZIzj0EAwIDSAAwRQIhAMUh
GTFzGSuirU5qCwpk9NR72QWwGa5jkjt/VNdFTLI7AiBGlXR1YLC1UwYQqqXrRTiv
jeE/87+PRTacdLk5Xv8JkA==
-----END CERTIFICATE-----`,
  key: `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgYAMbqtZN1RvETATE
+zy1uwxk+CzRddnXH6UjU4M+CtehRANCAARlMgAYyzDZNxFzRq3nSauYbBlYt4Ya
VxmD2zXBXhf0zpDiFVAkhIuGSWGMx+EV1X0mh6wTwwq5G+3RLw7c3JwX
-----END PRIVATE KEY-----`,
};
