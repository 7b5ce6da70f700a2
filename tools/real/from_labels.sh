# What docs/results/applications.md ("MR from a label map") and mr-to-flair.md (lesion ratio) were measured with.
# OPEN_MS: patient*/{t1,t2,flair,lesions}.nii.gz; MAPS: label maps (docs/how-to/label-maps.md); C: bundles/mr2ct_pix2pix/configs
python tools/real/label_pairs.py $OPEN_MS real   # real/<patient>/{labels,mr,t2,flair,lesion,nawm}.nii.gz
# fold_P.json: training, the two others; test, patient P; flair_P.json: the same with image [mr, t2] and label flair
for p in patient07 patient26; do
  python -m monai.bundle run training --config_file "['$C/train.yaml','$C/from_labels.yaml']" --datalist fold_$p.json \
    --output_dir run/$p --width 24 --crop_size 96 --pad_size 96 --batch_size 4 --learning_rate 1.0e-3 \
    --distance_weight 400 --max_epochs 4 --constant_epochs 2 --decay_epochs 2 --samples_per_epoch 400
  python -m monai.bundle run evaluating --config_file "['$C/train.yaml','$C/evaluate.yaml','$C/from_labels.yaml']" \
    --datalist fold_$p.json --output_dir run/$p --width 24
done
python -c "from pathlib import Path; from mr2ct_pix2pix.phantoms import write_labelled
write_labelled(Path('heads'), cases=4, spacing=1.0, seed=3, label_maps='$MAPS', stripped=True)"
# heads_labels: their labels.nii.gz, where 4 to 7 and 9 became 1
python -m monai.bundle run --config_file $C/inference.yaml --output_dir run/patient26 --dataset_dir heads_labels \
  --predictions_dir heads_synthetic
python tools/real/label_segmenter.py real heads heads_synthetic patient26 0
python tools/real/label_segmenter.py real heads heads_synthetic patient26 1 2
O="--spacing [2,2,2] --network_def::features [16,16,32,64,128,16] --width 16 --data_check false"
python -m monai.bundle run training --config_file "['$C/train.yaml','$C/flair.yaml']" --datalist flair_patient26.json \
  --output_dir flair $O --pad_size 96 --crop_size 80 --batch_size 4 --learning_rate 1.0e-3 --max_epochs 4 \
  --constant_epochs 2 --decay_epochs 2 --val_interval 4 --samples_per_epoch 400
python -m monai.bundle run evaluating --config_file "['$C/train.yaml','$C/evaluate.yaml','$C/flair.yaml']" \
  --datalist flair_patient26.json --output_dir flair $O
