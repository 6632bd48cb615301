//! Shift, rotation, scale, squeeze and shear as one 2×2 matrix and an offset.

use ocelli_kernels::random::Stream;

use super::Augment;

/// Where an output pixel comes from: source = matrix·output + offset, both (x, y) from the centre.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Affine {
    /// Rows give x and y of the source.
    pub(super) matrix: [[f64; 2]; 2],
    pub(super) offset: [f64; 2],
}

impl Affine {
    /// Every pixel stays where it is.
    pub(super) const IDENTITY: Affine = Affine { matrix: [[1.0, 0.0], [0.0, 1.0]], offset: [0.0, 0.0] };

    /// Draws amounts within the strengths. How much is read of `stream` does not depend on them.
    pub(super) fn draw(augment: &Augment, stream: &mut Stream) -> Affine {
        let mut draw = |strength: f32| f64::from(strength) * stream.range(-1.0, 1.0);
        let shift = [draw(augment.shift), draw(augment.shift)];
        let (sin, cos) = draw(augment.rotation).to_radians().sin_cos();
        let scale = 1.0 + draw(augment.scale);
        let squeeze = 1.0 + draw(augment.squeeze);
        let shear = draw(augment.shear);
        // Source to output is rotation · shear · diag(sx, sy), with a determinant of sx·sy, and then the shift.
        let (sx, sy) = (scale * squeeze, scale / squeeze);
        let forward = [[cos * sx, (cos * shear - sin) * sy], [sin * sx, (sin * shear + cos) * sy]];
        let [[a, b], [c, d]] = forward;
        let determinant = sx * sy;
        let matrix = [[d / determinant, -b / determinant], [-c / determinant, a / determinant]];
        let affine = Affine { matrix, offset: [0.0, 0.0] };
        let [x, y] = affine.at([-shift[0], -shift[1]]);
        Affine { offset: [x, y], ..affine }
    }

    /// Where (x, y) comes from.
    pub(super) fn at(&self, [x, y]: [f64; 2]) -> [f64; 2] {
        let [[xx, xy], [yx, yy]] = self.matrix;
        [xx * x + xy * y + self.offset[0], yx * x + yy * y + self.offset[1]]
    }

    /// Where pixels come from that this takes from an image in which `earlier` moved them.
    pub(super) fn then(&self, earlier: &Affine) -> Affine {
        let column = |j: usize| {
            let [x, y] = [self.matrix[0][j], self.matrix[1][j]];
            let [u, v] = earlier.at([x, y]);
            [u - earlier.offset[0], v - earlier.offset[1]]
        };
        let (first, second) = (column(0), column(1));
        Affine { matrix: [[first[0], second[0]], [first[1], second[1]]], offset: earlier.at(self.offset) }
    }
}

#[cfg(test)]
mod tests {
    use ocelli_kernels::random::Key;

    use super::*;

    fn strong() -> Augment {
        Augment { rotation: 30.0, scale: 0.2, squeeze: 0.3, shear: 0.4, shift: 3.0, ..Augment::NONE }
    }

    #[test]
    fn the_map_undoes_scale_then_shear_then_rotation_then_shift() {
        let key = Key::new(9, &[1]);
        let affine = Affine::draw(&strong(), &mut key.stream());
        let mut s = key.stream();
        let mut draw = |strength: f64| strength * s.range(-1.0, 1.0);
        let shift = [draw(3.0), draw(3.0)];
        let (angle, scale) = (draw(30.0).to_radians(), 1.0 + draw(f64::from(0.2f32)));
        let (squeeze, shear) = (1.0 + draw(f64::from(0.3f32)), draw(f64::from(0.4f32)));
        let [x, y] = [1.7, -0.6];
        let [x1, y1] = [x * scale * squeeze, y * scale / squeeze];
        let x2 = x1 + shear * y1;
        let [x3, y3] = [angle.cos() * x2 - angle.sin() * y1, angle.sin() * x2 + angle.cos() * y1];
        let back = affine.at([x3 + shift[0], y3 + shift[1]]);
        assert!((back[0] - x).abs() < 1e-12 && (back[1] - y).abs() < 1e-12, "{back:?}");
    }

    #[test]
    fn maps_are_composed_in_their_order() {
        let [a, b] = [1, 2].map(|i| Affine::draw(&strong(), &mut Key::new(9, &[i]).stream()));
        let (found, want) = (a.then(&b).at([2.5, -1.5]), b.at(a.at([2.5, -1.5])));
        assert!(
            (found[0] - want[0]).abs() < 1e-12 && (found[1] - want[1]).abs() < 1e-12,
            "{found:?} {want:?}"
        );
        assert_eq!(a.then(&Affine::IDENTITY), a);
        assert_eq!(Affine::draw(&Augment::NONE, &mut Key::new(1, &[]).stream()), Affine::IDENTITY);
    }
}
