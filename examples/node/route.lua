-- Orthanc sends each MR series to the node, in one association, when nothing came for it during StableAge seconds
-- (orthanc.json). What the node sent is left alone. A series that could not be sent is a failed job, to be resubmitted;
-- SendToModality would take single instances, and call its job a success whatever happened.
function OnStableSeries(series, tags, metadata)
   if tags['Modality'] == 'MR' and metadata['RemoteAET'] ~= 'SYNTHESIZE' then
      RestApiPost('/modalities/synthesize/store', DumpJson({Resources = {series}, Asynchronous = true}, true))
   end
end
