//! Signatures are verified by ring, which is here for TLS anyway. None is ever made here.

use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::{ErrorKind, Result};
use jsonwebtoken::signature::{Error, Verifier};
use jsonwebtoken::{Algorithm, DecodingKey, DecodingKeyKind, EncodingKey};
use ring::signature::{
    ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ED25519, RSA_PKCS1_2048_8192_SHA256,
    RSA_PKCS1_2048_8192_SHA384, RSA_PKCS1_2048_8192_SHA512, RSA_PSS_2048_8192_SHA256,
    RSA_PSS_2048_8192_SHA384, RSA_PSS_2048_8192_SHA512, RsaParameters, RsaPublicKeyComponents,
    UnparsedPublicKey, VerificationAlgorithm,
};

/// How a signature is held against a key.
pub(in crate::access) enum Check {
    Rsa(&'static RsaParameters),
    Curve(&'static dyn VerificationAlgorithm),
}

/// Algorithms whose keys may be public. With others (HS256 …) whoever verifies tokens could make them.
pub(in crate::access) static ALGORITHMS: [(Algorithm, Check); 9] = [
    (Algorithm::RS256, Check::Rsa(&RSA_PKCS1_2048_8192_SHA256)),
    (Algorithm::RS384, Check::Rsa(&RSA_PKCS1_2048_8192_SHA384)),
    (Algorithm::RS512, Check::Rsa(&RSA_PKCS1_2048_8192_SHA512)),
    (Algorithm::PS256, Check::Rsa(&RSA_PSS_2048_8192_SHA256)),
    (Algorithm::PS384, Check::Rsa(&RSA_PSS_2048_8192_SHA384)),
    (Algorithm::PS512, Check::Rsa(&RSA_PSS_2048_8192_SHA512)),
    (Algorithm::ES256, Check::Curve(&ECDSA_P256_SHA256_FIXED)),
    (Algorithm::ES384, Check::Curve(&ECDSA_P384_SHA384_FIXED)),
    (Algorithm::EdDSA, Check::Curve(&ED25519)),
];

/// Says that ring verifies tokens in this process. A second call changes nothing.
pub(in crate::access) fn install() {
    static PROVIDER: CryptoProvider = CryptoProvider {
        signer_factory: no_signer,
        verifier_factory: verifier,
        key_utils: KeyUtils::new_unimplemented(),
    };
    let _ = PROVIDER.install_default();
}

fn no_signer(_: &Algorithm, _: &EncodingKey) -> Result<Box<dyn JwtSigner>> {
    Err(ErrorKind::InvalidAlgorithm.into())
}

/// # Errors
/// The key is not one for the algorithm: an RSA key is not taken for a secret, whatever a token says.
fn verifier(algorithm: &Algorithm, key: &DecodingKey) -> Result<Box<dyn JwtVerifier>> {
    if key.family() != algorithm.family() {
        return Err(ErrorKind::InvalidKeyFormat.into());
    }
    Ok(Box::new(RingVerifier { algorithm: *algorithm, key: key.clone() }))
}

struct RingVerifier {
    algorithm: Algorithm,
    key: DecodingKey,
}

impl JwtVerifier for RingVerifier {
    fn algorithm(&self) -> Algorithm {
        self.algorithm
    }
}

impl Verifier<Vec<u8>> for RingVerifier {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> std::result::Result<(), Error> {
        let known = ALGORITHMS.iter().find(|(algorithm, _)| *algorithm == self.algorithm);
        let verified = match (known.map(|(_, check)| check), self.key.kind()) {
            (Some(Check::Rsa(parameters)), DecodingKeyKind::RsaModulusExponent { n, e }) => {
                RsaPublicKeyComponents { n, e }.verify(parameters, message, signature)
            }
            (Some(Check::Curve(algorithm)), DecodingKeyKind::SecretOrDer(point)) => {
                UnparsedPublicKey::new(*algorithm, point).verify(message, signature)
            }
            (Some(Check::Rsa(_)), DecodingKeyKind::SecretOrDer(_))
            | (Some(Check::Curve(_)), DecodingKeyKind::RsaModulusExponent { .. })
            | (None, _) => return Err(Error::new()),
        };
        verified.map_err(|_| Error::new())
    }
}

#[cfg(test)]
mod tests {
    use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
    use jsonwebtoken::crypto::verify;
    use ring::rand::SystemRandom;
    use ring::rsa::PublicKeyComponents;
    use ring::signature::{
        ECDSA_P256_SHA256_FIXED_SIGNING, ECDSA_P384_SHA384_FIXED_SIGNING, EcdsaKeyPair,
        EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair, RSA_PKCS1_SHA256, RSA_PKCS1_SHA384, RSA_PKCS1_SHA512,
        RSA_PSS_SHA256, RSA_PSS_SHA384, RSA_PSS_SHA512, RsaEncoding, RsaKeyPair,
    };

    use super::*;

    const MESSAGE: &[u8] = b"header.claims";

    fn signed_by_rsa(encoding: &'static dyn RsaEncoding) -> (Vec<u8>, DecodingKey) {
        let key = RsaKeyPair::from_pkcs8(include_bytes!("../../../tests/e2e/access/rsa.pk8")).unwrap();
        let mut signature = vec![0; key.public().modulus_len()];
        key.sign(encoding, &SystemRandom::new(), MESSAGE, &mut signature).unwrap();
        let PublicKeyComponents { n, e } = PublicKeyComponents::<Vec<u8>>::from(key.public());
        (signature, DecodingKey::from_rsa_raw_components(&n, &e))
    }

    fn signed_on_a_curve(curve: &'static EcdsaSigningAlgorithm) -> (Vec<u8>, DecodingKey) {
        let random = SystemRandom::new();
        let key = EcdsaKeyPair::generate_pkcs8(curve, &random).unwrap();
        let key = EcdsaKeyPair::from_pkcs8(curve, key.as_ref(), &random).unwrap();
        let signature = key.sign(&random, MESSAGE).unwrap().as_ref().to_vec();
        (signature, DecodingKey::from_ec_der(key.public_key().as_ref()))
    }

    fn signed_by_edwards() -> (Vec<u8>, DecodingKey) {
        let key = Ed25519KeyPair::generate_pkcs8(&SystemRandom::new()).unwrap();
        let key = Ed25519KeyPair::from_pkcs8(key.as_ref()).unwrap();
        (key.sign(MESSAGE).as_ref().to_vec(), DecodingKey::from_ed_der(key.public_key().as_ref()))
    }

    #[test]
    fn a_signature_is_taken_for_its_own_algorithm_and_message_and_no_other() {
        install();
        for (algorithm, (signature, key)) in [
            (Algorithm::RS256, signed_by_rsa(&RSA_PKCS1_SHA256)),
            (Algorithm::RS384, signed_by_rsa(&RSA_PKCS1_SHA384)),
            (Algorithm::RS512, signed_by_rsa(&RSA_PKCS1_SHA512)),
            (Algorithm::PS256, signed_by_rsa(&RSA_PSS_SHA256)),
            (Algorithm::PS384, signed_by_rsa(&RSA_PSS_SHA384)),
            (Algorithm::PS512, signed_by_rsa(&RSA_PSS_SHA512)),
            (Algorithm::ES256, signed_on_a_curve(&ECDSA_P256_SHA256_FIXED_SIGNING)),
            (Algorithm::ES384, signed_on_a_curve(&ECDSA_P384_SHA384_FIXED_SIGNING)),
            (Algorithm::EdDSA, signed_by_edwards()),
        ] {
            let signature = BASE64_URL_SAFE_NO_PAD.encode(signature);
            for (other, _) in &ALGORITHMS {
                let is_taken = verify(&signature, MESSAGE, &key, *other).unwrap_or_default();
                assert_eq!(is_taken, *other == algorithm, "{algorithm:?} as {other:?}");
            }
            assert!(!verify(&signature, b"header.others", &key, algorithm).unwrap(), "{algorithm:?}");
            assert!(verify(&signature, MESSAGE, &key, Algorithm::HS256).is_err(), "{algorithm:?}");
        }
    }
}
