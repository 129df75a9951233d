/**
 * @module A certificate authority, a server and a client that exist for the tests of this package and nowhere else. Made
 * once with openssl, valid from 2020 for a hundred years: so that the tests need neither openssl nor today's date.
 */

/** The authority that signed the others. */
export const authority = `-----BEGIN CERTIFICATE-----
MIIBaDCCAQ6gAwIBAgIUcFSIe94o6YfJJPvbTh52WuwA5+IwCgYIKoZIzj0EAwIw
GTEXMBUGA1UEAwwOdGVzdCBhdXRob3JpdHkwIBcNMjAwMTAxMDAwMDAwWhgPMjEy
MDAxMDEwMDAwMDBaMBkxFzAVBgNVBAMMDnRlc3QgYXV0aG9yaXR5MFkwEwYHKoZI
zj0CAQYIKoZIzj0DAQcDQgAETkgzVqZOnF8jsusDF0jpGyXakzpW5uDdpPTmvSMg
sEVY2vuAhaEYq3d8iTTmlRh91hAf4jfM4ZFHmkUFOnkQJKMyMDAwDwYDVR0TAQH/
BAUwAwEB/zAdBgNVHQ4EFgQU3AikaOw9rKaQHz6yaFGCguRzVT8wCgYIKoZIzj0E
AwIDSAAwRQIhAOyr6YoP8qDeZNpR8bR7Pjmg8xs0PbNkJorKecvP8kVyAiBUl5WK
pJESDcnXOTEV4i08i5itGB9BNgcpVxx5vg96PA==
-----END CERTIFICATE-----`;

/** A server called payments.test and ledger.test. */
export const server: { readonly cert: string; readonly key: string } = {
  cert: `-----BEGIN CERTIFICATE-----
MIIBnTCCAUSgAwIBAgIUaaokEAs3UYrR6fVYHwzWEcjNbo8wCgYIKoZIzj0EAwIw
GTEXMBUGA1UEAwwOdGVzdCBhdXRob3JpdHkwIBcNMjAwMTAxMDAwMDAwWhgPMjEy
MDAxMDEwMDAwMDBaMBgxFjAUBgNVBAMMDXBheW1lbnRzLnRlc3QwWTATBgcqhkjO
PQIBBggqhkjOPQMBBwNCAARqkZWyJVbBnqVpQKiy5k8m8a6O/SdF08sm2zV21+lO
Gpen6CUBjR+mhsbGMURCFRzr8L+4HgV3JtLPg16g9IBbo2kwZzAlBgNVHREEHjAc
gg1wYXltZW50cy50ZXN0ggtsZWRnZXIudGVzdDAdBgNVHQ4EFgQUQKg73GOgRWzK
GOmKgV5K0SW71dUwHwYDVR0jBBgwFoAU3AikaOw9rKaQHz6yaFGCguRzVT8wCgYI
KoZIzj0EAwIDRwAwRAIgblFeVzzjPAod8ly4MXznJtilgMU54c9VVoRMIiB02mkC
IHJff6qF2fjqF3Ehk/VX6lPsvWPNrvD/QbEWviwT0Qgj
-----END CERTIFICATE-----`,
  key: `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgbsB70LfVV0jnEhRU
Txclv2Xs8P6tLWH1L90ezl2VS66hRANCAARqkZWyJVbBnqVpQKiy5k8m8a6O/SdF
08sm2zV21+lOGpen6CUBjR+mhsbGMURCFRzr8L+4HgV3JtLPg16g9IBb
-----END PRIVATE KEY-----`,
};

/** A client. */
export const client: { readonly cert: string; readonly key: string } = {
  cert: `-----BEGIN CERTIFICATE-----
MIIBhjCCASugAwIBAgIUcNaDJxNl7/wpJDIFAJImCM949f8wCgYIKoZIzj0EAwIw
GTEXMBUGA1UEAwwOdGVzdCBhdXRob3JpdHkwIBcNMjAwMTAxMDAwMDAwWhgPMjEy
MDAxMDEwMDAwMDBaMBExDzANBgNVBAMMBmNsaWVudDBZMBMGByqGSM49AgEGCCqG
SM49AwEHA0IABINN0pk1NxYGIGIldUlznk1s5fNXBboI2bvyOmD1EXIBo2r1+olS
UxxJyIH0e5luQku6gZdFVzl/A7Q+nh/ZilmjVzBVMBMGA1UdJQQMMAoGCCsGAQUF
BwMCMB0GA1UdDgQWBBTWpxE5TXeYhEQlkOmsznBZMM4kPTAfBgNVHSMEGDAWgBTc
CKRo7D2sppAfPrJoUYKC5HNVPzAKBggqhkjOPQQDAgNJADBGAiEAoRqLyQkAYAwG
DtTeHp15zG7+1NSLSa5palAcTQ/lXqUCIQCBZVcqQPuqp3Su2hgG67C0gEZeQMbl
3xm8MvxsYXjvSw==
-----END CERTIFICATE-----`,
  key: `-----BEGIN PRIVATE KEY-----
MIGHAgEAMBMGByqGSM49AgEGCCqGSM49AwEHBG0wawIBAQQgHRLORs9EjLRpZl9c
NYsDvreXtWHEqvmTd9MA8phSHO2hRANCAASDTdKZNTcWBiBiJXVJc55NbOXzVwW6
CNm78jpg9RFyAaNq9fqJUlMcSciB9HuZbkJLuoGXRVc5fwO0Pp4f2YpZ
-----END PRIVATE KEY-----`,
};
