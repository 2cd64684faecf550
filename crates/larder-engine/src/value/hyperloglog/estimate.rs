//! From how many registers have which count to how many elements there were.

use super::{COUNTED_BITS, REGISTERS};

/// 0.5 / ln 2.
const ALPHA: f64 = 0.721_347_520_444_481_7;

/// Of a histogram of counts. The order of the operations is Redis's, so that the last bit is too.
pub(super) fn estimate(histogram: &[u32; 64]) -> u64 {
    const FULL: usize = COUNTED_BITS as usize + 1;
    let m = REGISTERS as f64;
    let mut z = m * tau((m - f64::from(histogram[FULL])) / m);
    for count in histogram[1..FULL].iter().rev() {
        z += f64::from(*count);
        z *= 0.5;
    }
    z += m * sigma(f64::from(histogram[0]) / m);
    (ALPHA * m * m / z).round() as u64
}

fn sigma(mut x: f64) -> f64 {
    if x == 1.0 {
        return f64::INFINITY;
    }
    let (mut y, mut z) = (1.0, x);
    loop {
        x *= x;
        let before = z;
        z += x * y;
        y += y;
        if before == z {
            return z;
        }
    }
}

fn tau(mut x: f64) -> f64 {
    if x == 0.0 || x == 1.0 {
        return 0.0;
    }
    let (mut y, mut z) = (1.0, 1.0 - x);
    loop {
        x = x.sqrt();
        let before = z;
        y *= 0.5;
        z -= (1.0 - x).powi(2) * y;
        if before == z {
            return z / 3.0;
        }
    }
}
