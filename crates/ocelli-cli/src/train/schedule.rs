//! How a curve of the learning rate is written on the command line.

use std::str::FromStr;

use ocelli_core::schedule::Curve;

/// A curve of the learning rate, as `--schedule` names it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Curved(pub(crate) Curve);

/// What `--schedule` takes.
const FORMS: &str =
    "constant, cosine, cosine:END, onecycle, step:EPOCHS, step:EPOCHS:FACTOR or exponential:FACTOR";

impl FromStr for Curved {
    type Err = String;

    fn from_str(text: &str) -> Result<Curved, String> {
        let (name, settings) = text.split_once(':').map_or((text, None), |(name, rest)| (name, Some(rest)));
        let settings: Vec<&str> = settings.map(|rest| rest.split(':').collect()).unwrap_or_default();
        let number = |text: &&str| text.parse::<f64>().map_err(|_| format!("'{text}' is no number"));
        let numbers: Vec<f64> = settings.iter().map(number).collect::<Result<_, _>>()?;
        let curve = match (name, &numbers[..]) {
            ("constant", []) => Curve::Constant,
            ("cosine", []) => Curve::Cosine { to: 0.0 },
            ("cosine", &[to]) => Curve::Cosine { to },
            ("onecycle", []) => Curve::OneCycle { peak_at: 0.3, start_divisor: 25.0, end_divisor: 1e4 },
            ("step", &[every]) => Curve::Step { every, factor: 0.1 },
            ("step", &[every, factor]) => Curve::Step { every, factor },
            ("step", []) => {
                return Err("say after how many epochs, such as step:10 or step:10:0.5".to_string());
            }
            ("exponential", &[factor]) => Curve::Exponential { factor },
            ("exponential", []) => {
                return Err("say the factor of each epoch, such as exponential:0.9".to_string());
            }
            _ => return Err(format!("give {FORMS}")),
        };
        ocelli_core::Schedule::from(curve.clone()).check().map_err(|e| e.to_string())?;
        Ok(Curved(curve))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn curves_are_read_with_their_settings() {
        let curve = |text: &str| text.parse::<Curved>().map(|curved| curved.0);
        assert_eq!(curve("constant"), Ok(Curve::Constant));
        assert_eq!(curve("cosine:1e-4"), Ok(Curve::Cosine { to: 1e-4 }));
        assert_eq!(curve("step:10"), Ok(Curve::Step { every: 10.0, factor: 0.1 }));
        assert_eq!(curve("step:10:0.5"), Ok(Curve::Step { every: 10.0, factor: 0.5 }));
        assert_eq!(curve("exponential:0.9"), Ok(Curve::Exponential { factor: 0.9 }));
    }

    #[test]
    fn other_curves_are_refused_with_what_to_give() {
        for (text, part) in
            [("step", "step:10"), ("warm", "onecycle"), ("step:x", "'x'"), ("step:0", "every")]
        {
            let refusal = text.parse::<Curved>().unwrap_err();
            assert!(refusal.contains(part), "{text}: {refusal}");
        }
    }
}
