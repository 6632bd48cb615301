//! The network's recipe, with what the user said in place of its parts.

use ocelli::{ClassWeights, Error, Recipe};
use ocelli_core::schedule::Curve;
use ocelli_core::{Loss, Optimizer};

use super::args::{LossName, OptimizerName, RecipeArgs, Sizes, WeightsName};

impl RecipeArgs {
    /// `recipe`, which is that of network `net`, with everything that was given in place of its own.
    ///
    /// # Errors
    /// Options that do not go together, or with the recipe.
    pub(super) fn apply(&self, net: &str, mut recipe: Recipe) -> Result<Recipe, Error> {
        let optimizer = self.optimizer(recipe.optimizer.clone())?;
        let other_rule = optimizer.name() != recipe.optimizer.name();
        self.check_rate(net, &recipe, other_rule)?;
        if other_rule {
            // Factors of the recipe's rate suit its optimiser alone, as the rate does.
            (recipe.rate, recipe.offset_rate) = (usual_rate(&optimizer), 1.0);
        }
        recipe.optimizer = optimizer;
        recipe.loss = self.loss(recipe.loss)?;
        if let Some(curve) = &self.schedule {
            recipe.schedule.curve = keep_settings(recipe.schedule.curve, &curve.0);
        }
        self.length(&mut recipe);
        recipe.batch = self.batch.unwrap_or(recipe.batch);
        recipe.accumulate = self.accumulate.unwrap_or(recipe.accumulate);
        recipe.class_weights = self.class_weights.map_or(recipe.class_weights, ClassWeights::from);
        let layer = |asked: &Option<String>, own| asked.clone().or(own).filter(|layer| layer != NO_LAYER);
        recipe.freeze = layer(&self.freeze, recipe.freeze);
        recipe.whiten = layer(&self.whiten, recipe.whiten);
        if let Some(Sizes(sizes)) = &self.sizes {
            (recipe.sizes, recipe.grow_from) = (sizes.clone(), None);
        }
        // 0 turns off what the network's own recipe may have.
        recipe.clip_norm = self.clip_norm.or(recipe.clip_norm).filter(|norm| *norm > 0.0);
        recipe.ema = self.ema.or(recipe.ema).filter(|decay| *decay > 0.0);
        recipe.rate = self.lr.unwrap_or(recipe.rate);
        recipe.offset_rate = self.bias_lr.unwrap_or(recipe.offset_rate);
        check_end(&recipe)?;
        recipe.precision = self.precision.unwrap_or(recipe.precision);
        recipe.augmentation = self.variation.augment.unwrap_or(recipe.augmentation);
        recipe.overrides = self.variation.overrides(recipe.overrides);
        recipe.check()?;
        Ok(recipe)
    }

    /// How long training goes on. What is given takes the place of what the recipe has in other units.
    fn length(&self, recipe: &mut Recipe) {
        if self.epochs.is_some() || self.steps.is_some() || self.time_budget.is_some() {
            (recipe.steps, recipe.time_budget) = (self.steps, self.time_budget);
        }
        recipe.epochs = self.epochs.unwrap_or(recipe.epochs);
        recipe.patience = self.patience.or(recipe.patience);
    }

    /// A schedule that lists rates has nothing that another rate could scale, and its rates suit its optimiser alone.
    fn check_rate(&self, net: &str, recipe: &Recipe, other_rule: bool) -> Result<(), Error> {
        let (Some(first), None) = (recipe.schedule.base(), &self.schedule) else { return Ok(()) };
        let reason = match (self.lr, other_rule) {
            (Some(_), _) => "so --lr would change nothing",
            (None, true) => "which suit no other --optimizer",
            (None, false) => return Ok(()),
        };
        Err(Error::Usage(format!(
            "the recipe of {net} lists its own learning rates, beginning with {}, {reason}; give --schedule \
             constant (or cosine, onecycle, step:10) too, or leave the option out",
            crate::text::rate(first)
        )))
    }

    fn optimizer(&self, own: Optimizer) -> Result<Optimizer, Error> {
        let mut optimizer = match self.optimizer {
            None => own,
            Some(name) if name.optimizer().name() == own.name() => own,
            Some(name) => name.optimizer(),
        };
        if let Some(x) = self.momentum {
            let Optimizer::Sgd { momentum, nesterov, .. } = &mut optimizer else {
                return Err(no_setting("--momentum", optimizer.name(), "sgd"));
            };
            (*momentum, *nesterov) = (x, *nesterov && x > 0.0);
        }
        if let Some(x) = self.weight_decay {
            match &mut optimizer {
                Optimizer::Sgd { weight_decay, .. }
                | Optimizer::Adam { weight_decay, .. }
                | Optimizer::AdamW { weight_decay, .. } => *weight_decay = x,
                Optimizer::DiagonalLm { .. } => {
                    return Err(no_setting("--weight-decay", "diagonal-lm", "sgd, adam and adamw"));
                }
            }
        }
        Ok(optimizer)
    }

    fn loss(&self, own: Loss) -> Result<Loss, Error> {
        let mut loss = match self.loss {
            None => own,
            Some(LossName::CrossEntropy) if matches!(own, Loss::CrossEntropy { .. }) => own,
            Some(name) => name.loss(),
        };
        if let Some(x) = self.label_smoothing {
            let Loss::CrossEntropy { label_smoothing } = &mut loss else {
                return Err(no_setting("--label-smoothing", "this loss", "cross-entropy"));
            };
            *label_smoothing = x;
        }
        Ok(loss)
    }
}

/// What stands for no layer where a recipe has one.
const NO_LAYER: &str = "none";

/// A cosine falls from the rate to its end.
fn check_end(recipe: &Recipe) -> Result<(), Error> {
    match recipe.schedule.curve {
        Curve::Cosine { to } if to > recipe.rate => Err(Error::Usage(format!(
            "--schedule cosine:{} would raise the learning rate, which begins at {}; END is the last rate: give a \
             smaller one, or a larger --lr",
            crate::text::rate(to),
            crate::text::rate(recipe.rate)
        ))),
        _ => Ok(()),
    }
}

fn no_setting(option: &str, of: &str, only: &str) -> Error {
    Error::Usage(format!("{of} has no {option}; it is for {only}"))
}

/// A rate with which this rule usually learns, where no recipe says one.
fn usual_rate(optimizer: &Optimizer) -> f64 {
    match optimizer {
        Optimizer::Sgd { .. } => Recipe::default().rate,
        Optimizer::Adam { .. } | Optimizer::AdamW { .. } => 1e-3,
        Optimizer::DiagonalLm { .. } => 5e-4,
    }
}

/// The curve that was asked for; where the recipe has the same without settings to choose, its own settings.
fn keep_settings(own: Curve, asked: &Curve) -> Curve {
    match (&own, asked) {
        (Curve::OneCycle { .. }, Curve::OneCycle { .. }) => own,
        _ => asked.clone(),
    }
}

impl OptimizerName {
    /// The rule of that name, with its usual settings.
    pub(super) fn optimizer(self) -> Optimizer {
        let (beta1, beta2, epsilon) = (0.9, 0.999, 1e-8);
        match self {
            OptimizerName::Sgd => Recipe::default().optimizer,
            OptimizerName::Adam => Optimizer::Adam { beta1, beta2, epsilon, weight_decay: 0.0 },
            OptimizerName::Adamw => Optimizer::AdamW { beta1, beta2, epsilon, weight_decay: 0.01 },
            OptimizerName::DiagonalLm => Optimizer::DiagonalLm { mu: 0.02, samples: 500 },
        }
    }
}

impl LossName {
    fn loss(self) -> Loss {
        match self {
            LossName::CrossEntropy => Loss::CrossEntropy { label_smoothing: 0.0 },
            LossName::Euclidean => Loss::Euclidean,
            LossName::SquaredError => Loss::SquaredError,
            LossName::BinaryLogistic => Loss::BinaryLogistic,
            LossName::Hinge => Loss::Hinge { margin: 1.0, squared: false },
            LossName::SquaredHinge => Loss::Hinge { margin: 1.0, squared: true },
            LossName::Exponential => Loss::Exponential,
            LossName::Map => Loss::Map { rubbish: 1.0 },
            LossName::Penalty => Loss::Penalty,
        }
    }
}

impl From<WeightsName> for ClassWeights {
    fn from(name: WeightsName) -> ClassWeights {
        match name {
            WeightsName::Equal => ClassWeights::Equal,
            WeightsName::Balanced => ClassWeights::Balanced,
        }
    }
}

#[cfg(test)]
mod tests {
    use ocelli::{Augmentation, Overrides};
    use ocelli_core::Schedule;

    use super::super::schedule::Curved;
    use super::*;
    use crate::variation::VariationArgs;

    fn lenet5() -> Recipe {
        let optimizer = Optimizer::DiagonalLm { mu: 0.1, samples: 50 };
        Recipe {
            rate: 5e-4,
            optimizer,
            schedule: Schedule::lenet5(),
            loss: Loss::Penalty,
            ..Recipe::default()
        }
    }

    #[test]
    fn nothing_given_leaves_the_recipe_as_it_is() {
        for recipe in [Recipe::default(), lenet5()] {
            assert_eq!(RecipeArgs::default().apply("net", recipe.clone()).unwrap(), recipe);
        }
    }

    #[test]
    fn what_is_given_wins_and_the_rest_stays() {
        let args = RecipeArgs {
            epochs: Some(3),
            lr: Some(0.2),
            momentum: Some(0.0),
            label_smoothing: Some(0.1),
            variation: VariationArgs {
                augment: Some(Augmentation::Distort),
                erase: Some(0.3),
                ..VariationArgs::default()
            },
            ..RecipeArgs::default()
        };
        let recipe = args.apply("net", Recipe::default()).unwrap();
        assert_eq!((recipe.epochs, recipe.rate, recipe.batch), (3, 0.2, Recipe::default().batch));
        assert_eq!(recipe.optimizer, Optimizer::Sgd { momentum: 0.0, nesterov: false, weight_decay: 5e-4 });
        assert_eq!(recipe.loss, Loss::CrossEntropy { label_smoothing: 0.1 });
        assert_eq!(recipe.augmentation, Augmentation::Distort);
        assert_eq!(recipe.overrides, Overrides { erase: Some(0.3), ..Overrides::default() });
    }

    #[test]
    fn how_long_is_said_in_one_unit_and_0_turns_off_what_the_recipe_has() {
        let own =
            Recipe { time_budget: Some(60.0), ema: Some(0.999), clip_norm: Some(1.0), ..Recipe::default() };
        let given = |args: RecipeArgs| args.apply("net", own.clone()).unwrap();
        assert_eq!(given(RecipeArgs::default()), own);
        let steps = given(RecipeArgs { steps: Some(100), ..RecipeArgs::default() });
        assert_eq!((steps.steps, steps.time_budget, steps.epochs), (Some(100), None, own.epochs));
        let epochs = given(RecipeArgs { epochs: Some(7), ..RecipeArgs::default() });
        assert_eq!((epochs.steps, epochs.time_budget, epochs.epochs), (None, None, 7));
        let off = RecipeArgs { ema: Some(0.0), clip_norm: Some(0.0), ..RecipeArgs::default() };
        assert_eq!((given(off).ema, given(RecipeArgs::default()).ema), (None, Some(0.999)));
        let frozen = Recipe { freeze: Some("stem".into()), whiten: Some("stem".into()), ..Recipe::default() };
        let none = RecipeArgs { freeze: Some("none".into()), ..RecipeArgs::default() };
        let none = none.apply("net", frozen).unwrap();
        assert_eq!((none.freeze, none.whiten.as_deref()), (None, Some("stem")));
        let grown = Recipe { grow_from: Some(0.75), ..Recipe::default() };
        let none = RecipeArgs { sizes: Some("none".parse().unwrap()), ..RecipeArgs::default() };
        assert_eq!(none.apply("net", grown).unwrap().grow_from, None);
        assert!("96,x".parse::<Sizes>().is_err_and(|e| e.contains("96,112,128")));
    }

    #[test]
    fn the_recipes_own_optimiser_keeps_its_settings_and_another_gets_its_usual_rate() {
        let named = |name| RecipeArgs { optimizer: Some(name), ..RecipeArgs::default() };
        assert_eq!(named(OptimizerName::DiagonalLm).apply("net", lenet5()).unwrap(), lenet5());
        let own = Recipe { offset_rate: 64.0, ..Recipe::default() };
        let adam = named(OptimizerName::Adam).apply("net", own.clone()).unwrap();
        assert_eq!((adam.rate, adam.offset_rate), (1e-3, 1.0));
        assert_eq!(named(OptimizerName::Sgd).apply("net", own.clone()).unwrap(), own);
    }

    #[test]
    fn a_list_of_rates_takes_no_rate_and_no_other_optimiser_unless_the_schedule_changes_too() {
        let lr = RecipeArgs { lr: Some(0.1), ..RecipeArgs::default() };
        let refusal = lr.apply("lenet5", lenet5()).unwrap_err().to_string();
        assert!(refusal.contains("lenet5") && refusal.contains("--schedule"), "{refusal}");
        let adam = RecipeArgs { optimizer: Some(OptimizerName::Adam), ..RecipeArgs::default() };
        assert!(adam.apply("lenet5", lenet5()).is_err());
        let both = RecipeArgs { schedule: Some(Curved(Curve::Constant)), ..lr };
        assert_eq!(both.apply("lenet5", lenet5()).unwrap().rate, 0.1);
    }

    #[test]
    fn a_cosine_ends_below_the_rate() {
        let cosine =
            |to| RecipeArgs { schedule: Some(Curved(Curve::Cosine { to })), ..RecipeArgs::default() };
        assert!(cosine(0.01).apply("net", Recipe::default()).is_ok());
        let refusal = cosine(0.1).apply("net", Recipe::default()).unwrap_err().to_string();
        assert!(refusal.contains("cosine:0.1") && refusal.contains("0.05"), "{refusal}");
    }

    #[test]
    fn settings_that_an_optimiser_or_loss_lacks_are_refused() {
        let momentum =
            RecipeArgs { momentum: Some(0.5), optimizer: Some(OptimizerName::Adam), ..RecipeArgs::default() };
        assert!(momentum.apply("net", Recipe::default()).unwrap_err().to_string().contains("sgd"));
        let smoothing =
            RecipeArgs { label_smoothing: Some(0.1), loss: Some(LossName::Hinge), ..RecipeArgs::default() };
        assert!(smoothing.apply("net", Recipe::default()).unwrap_err().to_string().contains("cross-entropy"));
    }
}
