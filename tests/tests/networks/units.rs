use burn::module::Module;
use burn::tensor::Device;
use vitslim_core::models::{Architecture, Vit, VitConfig};
use vitslim_core::slim::{Plan, Slimmable, describe, parameters_per_unit};

#[test]
fn a_unit_costs_what_goes_when_it_is_cut() {
    let config =
        VitConfig { image_size: 8, patch_size: 4, dim: 6, heads: 2, depth: 2, ..VitConfig::default() };
    let model = Vit::init(&config, &Device::flex()).unwrap();
    let dimensions = describe(&model).unwrap();
    let costs = parameters_per_unit(&model);
    assert_eq!(costs.len(), 5);
    for (path, cost) in costs {
        let mut plan = Plan::whole(&dimensions);
        plan.get_mut(&path).unwrap().keep.remove(1);
        let left = model.slim(&plan).unwrap().num_params();
        assert_eq!(model.num_params() - left, cost, "{path}");
    }
}
