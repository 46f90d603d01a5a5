//! Coefficients and split constants of the kernels, lowest degree first; written by
//! `data/kernels/coefficients.py` (Chebyshev interpolation in 60 digits), not by hand.

/// Coefficients in `f64`.
pub(super) mod of_f64 {
    /// (eʳ − 1 − r)/r², |r| ≤ ln2/2; error 0.0022 ulp.
    pub(crate) const EXP: &[f64] = &[
        0.5,
        0.1666666666666667,
        0.04166666666666667,
        0.008333333333326084,
        0.0013888888888883711,
        0.0001984126987500228,
        2.480158732567746e-05,
        2.755725517000089e-06,
        2.755727347871858e-07,
        2.5105312729622103e-08,
        2.09147553258932e-09,
    ];
    /// (2ʳ − 1 − r ln2)/r², |r| ≤ 1/2; error 0.00077 ulp.
    pub(crate) const EXP2: &[f64] = &[
        0.24022650695910072,
        0.0555041086648216,
        0.009618129107628479,
        0.001333355814641675,
        0.00015403530393375822,
        1.5252733830147138e-05,
        1.3215486803057882e-06,
        1.0178062256646543e-07,
        7.054899862722409e-09,
        4.4549983631048684e-10,
        2.5725267506017277e-11,
    ];
    /// (ln((2+S)/(2−S)) − S)/S³ in S²; error 0.00014 ulp.
    pub(crate) const LN: &[f64] = &[
        0.08333333333333333,
        0.012500000000000277,
        0.002232142857093733,
        0.00043402778110509854,
        8.877829857188055e-05,
        1.8782037033229572e-05,
        4.049267080464729e-06,
        9.98537815164761e-07,
    ];
    /// (sin r − r)/r³ in r², |r| ≤ π/4; error 3.3e-5 ulp.
    pub(crate) const SIN: &[f64] = &[
        -0.16666666666666666,
        0.008333333333333331,
        -0.00019841269841265017,
        2.755731921930192e-06,
        -2.5052106219521895e-08,
        1.6058529572267877e-10,
        -7.586576588171073e-13,
    ];
    /// (cos r − 1 + r²/2)/r⁴ in r², |r| ≤ π/4; error 0.0022 ulp.
    pub(crate) const COS: &[f64] = &[
        0.041666666666666664,
        -0.0013888888888887382,
        2.480158729874307e-05,
        -2.7557317260008837e-07,
        2.0876143827993133e-09,
        -1.1382456778061306e-11,
    ];
    /// (t+4) Φ(−t) e^(t²/2) in u = (t−4)/(t+4); error 0.02 ulp.
    pub(crate) const MILLS: &[f64] = &[
        0.7552851304157515,
        -0.6078966419718921,
        0.38713740074221453,
        -0.18652185795965745,
        0.06039657489093769,
        -0.007540188966719381,
        -0.003479692367412914,
        0.0016308184574697466,
        0.0001333443125592139,
        -0.00023109493413064064,
        -1.9082589727909575e-06,
        3.514468067075562e-05,
        7.166661392310459e-07,
        -5.920156161474508e-06,
        -6.296896838092998e-07,
        1.0215205012909071e-06,
        2.717809948345e-07,
        -1.549271323887327e-07,
        -8.536991353342608e-08,
        1.32610923300199e-08,
        1.9587727444446167e-08,
        1.917695265350152e-09,
        -2.511372928694166e-09,
        -7.227674920350449e-10,
    ];
    /// ln 2 as a nearest value and the rest.
    pub(crate) const LN2: [f64; 2] = [f64::from_bits(0x3fe62e42fefa39ef), f64::from_bits(0x3c7abc9e3b39803f)];
    /// ln 2 with enough trailing zeros that k·LN2_CUT[0] is exact, and the rest.
    pub(crate) const LN2_CUT: [f64; 2] =
        [f64::from_bits(0x3fe62e42fefa3000), f64::from_bits(0x3d53de6af278ece6)];
    /// 1/ln 2 cut to half the significand, and the rest.
    pub(crate) const LOG2E_CUT: [f64; 2] =
        [f64::from_bits(0x3ff7154700000000), f64::from_bits(0x3e994ae0bf85ddf4)];
    /// π/2 in three parts.
    pub(crate) const HALF_PI: [f64; 3] = [
        f64::from_bits(0x3ff921fb54442d18),
        f64::from_bits(0x3c91a62633145c07),
        f64::from_bits(0xb91f1976b7ed8fbc),
    ];
}
/// Coefficients in `f32`.
pub(super) mod of_f32 {
    /// (eʳ − 1 − r)/r², |r| ≤ ln2/2; error 0.0041 ulp.
    pub(crate) const EXP: &[f32] = &[0.5, 0.16666667, 0.041666463, 0.0083333105, 0.0013933731, 0.0001989108];
    /// (2ʳ − 1 − r ln2)/r², |r| ≤ 1/2; error 0.0014 ulp.
    pub(crate) const EXP2: &[f32] =
        &[0.2402265, 0.05550411, 0.009618082, 0.0013333522, 0.00015453361, 1.5291102e-05];
    /// (ln((2+S)/(2−S)) − S)/S³ in S²; error 0.00014 ulp.
    pub(crate) const LN: &[f32] = &[0.083333336, 0.012500038, 0.0022305297, 0.00045569558];
    /// (sin r − r)/r³ in r², |r| ≤ π/4; error 0.00015 ulp.
    pub(crate) const SIN: &[f32] = &[-0.16666667, 0.008333332, -0.00019840083, 2.7249314e-06];
    /// (cos r − 1 + r²/2)/r⁴ in r², |r| ≤ π/4; error 7.6e-6 ulp.
    pub(crate) const COS: &[f32] = &[0.041666668, -0.0013888888, 2.4800596e-05, -2.7300447e-07];
    /// (t+4) Φ(−t) e^(t²/2) in u = (t−4)/(t+4); error 0.003 ulp.
    pub(crate) const MILLS: &[f32] = &[
        0.75528514,
        -0.6078966,
        0.38713738,
        -0.18652184,
        0.060397144,
        -0.007540089,
        -0.0034838833,
        0.0016283022,
        0.00014632134,
        -0.00021852914,
        -1.6130458e-05,
        1.47602705e-05,
    ];
    /// ln 2 as a nearest value and the rest.
    pub(crate) const LN2: [f32; 2] = [f32::from_bits(0x3f317218), f32::from_bits(0xb102e308)];
    /// ln 2 with enough trailing zeros that k·LN2_CUT[0] is exact, and the rest.
    pub(crate) const LN2_CUT: [f32; 2] = [f32::from_bits(0x3f317200), f32::from_bits(0x35bfbe8e)];
    /// 1/ln 2 cut to half the significand, and the rest.
    pub(crate) const LOG2E_CUT: [f32; 2] = [f32::from_bits(0x3fb8a000), f32::from_bits(0x39a3b296)];
    /// π/2 in three parts.
    pub(crate) const HALF_PI: [f32; 3] =
        [f32::from_bits(0x3fc90fdb), f32::from_bits(0xb33bbd2e), f32::from_bits(0xa6f72ced)];
}
/// The binary digits of 2/π, the first word before the point.
pub(crate) const TWO_OVER_PI: [u64; 21] = [
    0x0000000000000000,
    0xa2f9836e4e441529,
    0xfc2757d1f534ddc0,
    0xdb6295993c439041,
    0xfe5163abdebbc561,
    0xb7246e3a424dd2e0,
    0x06492eea09d1921c,
    0xfe1deb1cb129a73e,
    0xe88235f52ebb4484,
    0xe99c7026b45f7e41,
    0x3991d639835339f4,
    0x9c845f8bbdf9283b,
    0x1ff897ffde05980f,
    0xef2f118b5a0a6d1f,
    0x6d367ecf27cb09b7,
    0x4f463f669e5fea2d,
    0x7527bac7ebe5f17b,
    0x3d0739f78a5292ea,
    0x6bfb5fb11f8d5d08,
    0x56033046fc7b6bab,
    0xf0cfbc209af4361d,
];
