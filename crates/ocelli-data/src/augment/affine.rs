//! Shift, rotation, scale, squeeze and shear as one 2×2 matrix and a shift.

use ocelli_kernels::random::Stream;

use super::Augment;

/// Where an output pixel comes from: source = matrix·(output − shift), both (x, y) from the centre.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Affine {
    /// Rows give x and y of the source.
    pub(super) matrix: [[f64; 2]; 2],
    pub(super) shift: [f64; 2],
}

impl Affine {
    /// Draws amounts within the strengths. How much is read of `stream` does not depend on them.
    pub(super) fn draw(augment: &Augment, stream: &mut Stream) -> Affine {
        let mut draw = |strength: f32| f64::from(strength) * stream.range(-1.0, 1.0);
        let shift = [draw(augment.shift), draw(augment.shift)];
        let (sin, cos) = draw(augment.rotation).to_radians().sin_cos();
        let scale = 1.0 + draw(augment.scale);
        let squeeze = 1.0 + draw(augment.squeeze);
        let shear = draw(augment.shear);
        // Source to output is rotation · shear · diag(sx, sy), with a determinant of sx·sy.
        let (sx, sy) = (scale * squeeze, scale / squeeze);
        let forward = [[cos * sx, (cos * shear - sin) * sy], [sin * sx, (sin * shear + cos) * sy]];
        let [[a, b], [c, d]] = forward;
        let determinant = sx * sy;
        let matrix = [[d / determinant, -b / determinant], [-c / determinant, a / determinant]];
        Affine { matrix, shift }
    }
}

#[cfg(test)]
mod tests {
    use ocelli_kernels::random::Key;

    use super::*;

    #[test]
    fn the_matrix_undoes_scale_then_shear_then_rotation() {
        let augment =
            Augment { rotation: 30.0, scale: 0.2, squeeze: 0.3, shear: 0.4, shift: 3.0, elastic: None };
        let key = Key::new(9, &[1]);
        let affine = Affine::draw(&augment, &mut key.stream());
        let mut s = key.stream();
        let mut draw = |strength: f64| strength * s.range(-1.0, 1.0);
        assert_eq!(affine.shift.map(|v| (v * 1e6) as i64), [draw(3.0), draw(3.0)].map(|v| (v * 1e6) as i64));
        let (angle, scale) = (draw(30.0).to_radians(), 1.0 + draw(f64::from(0.2f32)));
        let (squeeze, shear) = (1.0 + draw(f64::from(0.3f32)), draw(f64::from(0.4f32)));
        let [x, y] = [1.7, -0.6];
        let [x1, y1] = [x * scale * squeeze, y * scale / squeeze];
        let x2 = x1 + shear * y1;
        let [x3, y3] = [angle.cos() * x2 - angle.sin() * y1, angle.sin() * x2 + angle.cos() * y1];
        let m = affine.matrix;
        let back = [m[0][0] * x3 + m[0][1] * y3, m[1][0] * x3 + m[1][1] * y3];
        assert!((back[0] - x).abs() < 1e-12 && (back[1] - y).abs() < 1e-12, "{back:?}");
    }
}
